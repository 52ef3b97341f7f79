"""How much, how long, how often: every limit of the system, with its unit and its reason."""

from __future__ import annotations

# Every program imports this module, so here is where a package that mixes ours with Celery's
# `vine` (promises.py and others in the same folder) is found out.
from vine.mixed import refuse_mixed_install

refuse_mixed_install()

protocol_version = 1  # Peers of another version are refused at their hello.

# --- control messages ---
control_bytes_max = 4 << 20  # A frame on a control socket; libzmq allocates what a peer announces.
batch_bytes_target = 256 << 10  # Senders close a batch here: large enough to amortise, small enough to interleave.
name_chars_max = 255  # As in file systems.
path_chars_max = 4096  # PATH_MAX on Linux.
url_chars_max = 8192  # What common servers take as a request line.
text_chars_max = 8192  # Messages for people and environment variables.
command_chars_max = 131_072  # MAX_ARG_STRLEN on Linux: the kernel refuses longer arguments.
inline_bytes_max = 64 << 10  # Values up to this travel inside envelopes; larger ones become files.
told_s_max = 1e9  # What a message may tell of how long something took or is to take: 31 years are a slip.
inline_bytes_hard_max = 1 << 20  # What the wire admits as inline, so that the limit above can be tuned.
stdio_bytes_max = 256 << 10  # Of each of stdout and stderr that returns with a task; the rest is cut.
message_items_max = 128  # Tasks, assignments, ends in one message: who hears of them begins before all are read.
unsent_hold_s = 0.001  # What a turn of the manager has decided is sent after so long, though there is more to hear.
portion_bytes_max = 8 << 20  # Of the arguments or results of many tasks in one message: far below the next limit.
message_bytes_max = 128 << 20  # One message, in as many envelopes as it needs: the manifest of a folder of 10^6 files.

# --- sessions ---
resend_after_s = 1.0  # An envelope without an acknowledgement for so long is sent again.
ack_after_s = 0.05  # The longest that a receiver waits for an answer to carry its acknowledgement.
ack_after_envelopes = 32  # ... or so many envelopes.
window_envelopes = 1024  # In flight at most: below ZeroMQ's high-water mark, so that nothing is dropped there.
window_bytes = 16 << 20  # ... or so many bytes: more than any network holds, and little to send twice.
control_hwm_envelopes = 4096  # Above the window, its re-sends and acknowledgements: a full queue is a slow network.
blocked_retry_s = 0.02  # A socket whose queue was full is tried again after this.
drain_envelopes_max = 256  # Taken from a socket at once, so that timers and other sockets get their turn.
sessions_max = 50_000  # Of all peers at once: five times the workers that a manager is measured with.
malformed_kinds_max = 64  # Told apart in the counts of dropped messages; what is in them is the peer's choice.
unacknowledged_bytes_max = 1 << 30  # A peer that lets more pile up is given up.

# --- liveness ---
heartbeat_interval_s = 1.0  # Every process says something at least so often.
worker_replaced_after_s = 3.0  # A worker heard so recently lives: another one cannot join under its name.
worker_suspected_after_s = 4.0  # One that missed four of them gets nothing more; who is idle gets what it has ...
hearing_gap_s = 2.0  # ... unless the manager itself stood still, or heard nobody, for two: then it tells nothing.
worker_lost_after_s = 15.0  # A worker that was silent so long has its tasks run elsewhere.
worker_cut_off_s = 3.0  # ... and one whose connection the other end has closed, unless it connects anew within this ...
worker_cut_off_each_s = 0.002  # ... and so much longer for each that is cut off: their handshakes take turns.
manager_lost_after_s = 60.0  # Client, workers and factory give up a silent manager after this.
lease_s = 600.0  # Workers wait so long for a manager that has died to be started again, and it then for them.
return_grace_s = 3.0  # A restarted manager gives out nothing for so long unless all workers are back: some may have it.
clients_unwritten_max = 1024  # Of them as many may have joined unbeknown to the journal: their numbers stay theirs.
connect_timeout_s = 10.0  # From connecting until the manager's welcome; loopback takes milliseconds.
spawner_start_max_s = 30.0  # The worker's helper program takes milliseconds; a machine that swaps, seconds.
stop_grace_s = 2.0  # From SIGTERM to SIGKILL for what we started.
zmq_heartbeat_ms = 2000  # ZMTP pings ...
zmq_silence_ms = 6000  # ... and a connection that brings nothing, half-open say, is closed after three.
handshake_check_s = 0.02  # Until the manager has welcomed us, the fate of the handshake is looked at so often.
handshake_failures_max = 3  # A wrong server key shows as connections that close in the handshake: so many in a row.
reconnect_first_ms = 50  # libzmq tries again after this, then doubles ...
reconnect_max_ms = 1000  # ... up to this: a restarted manager is found within a second.
zmq_connect_ms = 3000  # An address that swallows packets; the kernel's own limit is two minutes.
zmq_backlog = 4096  # Workers of a large job connect at the same moment.
zmq_handshake_ms = 5000  # A peer that stalls in the handshake is dropped; libzmq's default is 30 s.

# --- long-lived processes ---
garbage_objects_young = 50_000  # New objects until the collector looks: about 10 MB, should all of them be garbage ...
garbage_rounds_old = 20  # ... and after so many such rounds it looks at older ones too.

# --- data plane ---
chunk_bytes_small = 256 << 10  # Objects below 128 MB: through several hops they are delayed by some chunks each.
chunk_bytes_medium = 1 << 20  # Up to 8 GB: the fastest size over loopback PUSH/PULL.
chunk_bytes_max = 4 << 20  # Above: fewer messages for the same bytes.
small_object_bytes = 128_000_000  # Below this the small chunk size, from here on the medium one ...
medium_object_bytes = 8_000_000_000  # ... and from here on the largest.
manifest_bytes_max = 3 << 20  # Of an object's hashes and member names: it must fit into a control frame.
chunks_per_object_max = 1 << 24  # 64 TiB at the largest chunk.
source_transfers_max = 3  # Flows that one node serves at once, over all objects: the paper's figure.
manager_pulls_max = 64  # Results and outputs that the manager fetches at once: each costs it three open files.
manager_small_transfers = 1  # One more slot of the manager, for objects of a few chunks.
forest_stripes = 3  # Trees of an object's forest, and children of a node: as many as the cap, the paper's figure.
forest_generation_s = 1.0  # Who wants an object within this time may be put between each other in its forest.
stragglers_of = 8  # When one in so many nodes of a forest is left that still receives, those who have it all feed it.
slow_reports_max = 2  # Children that call a node slow before it feeds nobody else in that object's forest.
slow_claims_max = 3  # Parents of which a child may say so in a forest: after that the fault is its own.
slow_objects_max = 3  # ... and objects in which it came to that before it is ranked last for new ones.
rate_bytes_min = 4 << 20  # A transfer of less tells more of latency than of its sources' rates.
small_object_chunks = 4  # Objects of fewer chunks are pulled from one source without a plan.
credit_chunks = 8  # Wanted and not yet stored, of each stripe's source, until the edge has been measured.
credit_chunks_min = 2  # One on its way, one being stored.
credit_chunks_max = 32  # The most that a source lets one transfer have outstanding.
credit_batch_chunks = 16  # An edge's rate and delay are measured over so many.
credit_batches = 16  # ... the best of so many count; one of them is smaller, to see the delay without our own queue.
slow_window_s = 0.05  # A source is compared with those of the other stripes over so long: more than a hiccup ...
slow_window_chunks = 4  # ... and over so many chunks of each of these.
strain_weight = 4  # A node that waits for a processor for a quarter of a time, or more, cannot judge by it at all.
late_loop_s = 0.1  # A node whose own loop stood still for so long, two ticks, begins to compare its sources anew.
judge_interval_s = 0.01  # Sources are compared so often at most: a fifth of that window.
backup_silence_s = 0.06  # A source of a stripe that sends nothing for so long, and for several chunks of each other.
source_patience = 1.0  # Times both; more where nodes share processors or are throttled: late for no fault of theirs.
edge_silence_s = 4.5  # A source that sends none of the chunks wanted of it for so long is given up: 5 s with a detour.
flow_stale_s = 0.05  # A flow whose receiver is silent for so long gives its slot to one that was planned instead ...
flow_stale_intervals = 8  # ... if that is also so many times as long as it used to be between two wants.
receiving_silence_s = (
    15.0  # ... a source that still receives may wait for its own sources: time for them to be replaced.
)
want_again_s = 2.0  # Wants without a chunk for so long are said again: a reset connection loses what was queued.
want_again_intervals = (
    4  # ... or for so many times as long as its chunks took until now, each time for twice as long ...
)
want_again_max_s = 4.0  # ... up to this: before its slot is taken from a receiver that says nothing.
wants_parked_max = 64  # Transfers whose wants came before their object; kept for edge_silence_s.
busy_retry_first_s = 0.01  # A source that was busy is asked again after this: a slot that changes hands is soon free.
busy_retry_s = 0.2  # ... each time after twice as long, up to this.
bad_chunks_max = 2  # Strikes: after this many bad chunks of a source it is no source any more.
data_io_threads = 4  # Of ZeroMQ, beside a transfer node: they cipher and copy, each edge on one; idle ones are free.
data_hwm_messages = 64  # On data sockets, above twice the credit, so that a full queue is a bug.
data_send_buffer_bytes = (
    512 << 10  # The kernel's, of an edge: a child that is behind catches up. Enough for 0.5 GB/s at 1 ms, an edge.
)
data_frame_slack_bytes = 64 << 10  # Above a chunk, in a data socket's frame limit.
edge_idle_s = 10.0  # A sending socket that was idle for so long is closed.
edge_linger_ms = 200  # Its last words may take so long to leave.
node_batch_messages = 32  # A transfer node takes so many of one kind before it looks at the others.
node_tick_s = 0.05  # While anything is under way it looks at its deadlines so often: a slow source's window.
store_threads = 2  # Hash and write chunks beside the socket thread; both release the GIL.

# --- downloads ---
downloads_per_worker_max = 4  # At once: enough to fill a link from slow servers, few enough to leave URLs to others.
download_workers_max = 3  # A URL that could not be had from so many workers cannot be had.
download_tries_max = 5  # By one worker: with the pauses below a server has 7.5 s to come back.
download_backoff_s = 0.5  # The pause before the second try; each further one doubles it ...
download_backoff_max_s = 30.0  # ... up to this.
download_retry_after_max_s = 60.0  # A server that asks for a longer pause is asked no more: tasks wait for it.
download_connect_max_s = 10.0  # As the control connection's limit: a host that lives answers in milliseconds.
download_silence_max_s = 30.0  # A body that stands still for so long is tried again: servers that compute need time.
download_read_bytes = 1 << 20  # Read, written and counted at once.
download_redirects_max = 10  # As urllib's: more are a loop.
download_workers_compared = 64  # For each URL, so that the choice does not cost more as the fleet grows.

# --- scheduling ---
prefetch_target_s = 0.2  # Queue this much work on a worker ahead of time, so that short calls run back to back.
prefetch_tasks_max = 256  # ... and at most so many tasks a slot: tiny ones last while their results cross the next.
prefetch_bytes_min = 1 << 20  # Inputs below this come fast enough when their task does.
prefetch_objects_max = 2  # On their way to a worker before a task that needs them has been given to it.
prefetch_tasks_a_step_max = 64  # Tasks that are looked at, at the head of a queue, each time that one is looked at.
prefetch_workers_probed_max = 16  # Workers that are looked at for one such task.
prefetch_everywhere_share = 0.9  # What so many workers have is not planned ahead: their slots would not differ by it.
prefetch_passes_max = 8  # Times that a task lets others pass whose inputs were sent ahead to where a slot is free.
reserve_after_s = 5.0  # The first task of a queue that finds no room for so long has a worker kept free for it.
no_fit_grace_s = 5.0  # A task that fits no known worker waits so long for a larger one, then fails.
worker_losses_alone_from = 2  # A task under which so many workers were lost has one to itself from then on.
worker_losses_alone_max = 2  # ... and is not tried again when so many were lost while it ran alone.
worker_leaves_max = 20  # Nor when so many left in order while it ran: pools take workers back, but not for ever.
worker_losses_max = 3  # What cannot run alone, a download or a library's call, is not tried again after so many.
transfer_failures_max = 5  # Failed sources of one object on one worker, before its tasks are sent elsewhere.
crowded_out_max = 20  # Times that a task's data may lack the room that other tasks take up, before that counts too.
unprepared_max = 3  # Tasks in a row that a worker could not prepare, before it is told to end: its disk or node is ill.
placements_failed_max = 3  # Workers on which a task's inputs could not be had, before it fails.
dependency_bytes_inline_max = 512 << 10  # Results that an assignment carries for its arguments; more become objects.
category_samples_min = 5  # Tasks of a category that were measured, before their use decides for the others.
category_learns_again = 4  # Where sizes are weighed, that is done anew when so many times fewer have been added.
category_step_mb = 50.0  # Such memory and disk are rounded up to this, so that figures settle soon.
category_slack = 0.05  # Of a step: a body that keeps 1.02 cores busy, by the kernel's own rounding, needs one.
feeding_tasks_min = 200  # That have ended, before a manager says how many at once it can keep busy ...
feeding_tasks_kept = 20_000  # ... by so many at most: older ones tell less and less.
feeding_share = 0.8  # Of its time; the rest is for what comes unevenly.
feeding_step = 0.2  # What changes by less is not told anew.
idle_shapes_max = 64  # Kinds of tasks without tasks, of which an index of workers is kept.
capacities_kept_max = 10_000  # Of workers, by which a kind of tasks remembers what it would be given there.
durations_kept_max = 10_000  # Functions and kinds of tasks whose duration is remembered.
misfits_max = 8  # Tasks of a kind, in a row, whose inputs find no room on a worker, before it gets no more of them ...
no_room_retry_s = 10.0  # ... for so long; then one is tried. Each costs it and the manager a millisecond or two.
copy_retry_s = 30.0  # A worker that had no room for a copy that is to be kept is asked again after this.
recovery_depth_max = 100  # Producers that are run again for one lost temporary file, counted along the chain.

# --- function hosts ---
calls_ahead_s = 0.01  # A busy host is handed calls of so much expected time: more than a wake-up of the worker takes.
calls_ahead_max = 64  # ... and at most so many.
fork_s = 0.001  # What a fork and its end take beside its call, on a fast machine.
call_ahead_bytes_max = 4 << 10  # Longer calls wait at the worker: the host's socket must hold all that it is handed.
host_frame_bytes_max = 100 << 10  # Longer calls go by a file: half of the kernel's default socket buffer.
host_answers_bytes = 256 << 10  # A host that has said so much waits until the worker has read it: a few long values.
host_start_max_s = 120.0  # An interpreter that has not come up by then is ended; cold shared disks are slow.
news_hold_s = 0.005  # A worker where more waits for its turn tells results, and what has begun, so much later at most.

# --- libraries ---
library_start_max_s = 1800.0  # A context may load tens of GB; one that takes longer than this is taken to hang.
library_tries_max = 3  # Loads that fail, on any workers, without a call that has run in between: then its calls fail.
library_retry_s = 30.0  # A worker where one has failed is given no calls of it for so long, while there are others.
library_slots_max = 4096  # Ten times the cores of a large machine: more is a slip.
library_functions_max = 1024  # Their names are in one message, and in each view of the run.
library_worth_bytes = 1 << 30  # Placing a call: a loaded library weighs as much as inputs of this size.

# --- what bodies use ---
ends_kept_bytes_max = (
    64 << 20
)  # Results of a worker that may not be in the manager's journal yet: some seconds of them.
end_bytes = 300  # About what the end of an attempt takes beside its value.
use_interval_s = 0.25  # What runs is measured so often: a fast writer fills some hundred MB in that time.
watch_interval_s = 1.0  # Outputs that are watched are looked at so often: as a person does, and `tail -f`.
watch_bytes_max = 1 << 20  # Of one of them at one look: what is more comes with the next, and at the end in any case.
watched_waiting_bytes_max = 64 << 20  # Of all of them, until the manager's thread has written them: a minute of some.
watched_close_s = 1.0  # At a run's end these parts have so long: outputs whose tasks have ended are there whole.
printed_bytes_max = 1 << 30  # Of a task, or of a call by what its host's log has grown: enough for any log.
host_log_bytes_max = 16 << 20  # Of a host's or library's log and what was before it: 100,000 lines; one for each core.
streams_kept_bytes_max = 2 << 30  # Of a worker: printed by its tasks, and too long to come back; the oldest go ...
streams_kept_share = 0.1  # ... and no more of its disk than this.
failed_streams_bytes_max = 64 << 20  # ... and of failed ones in the run's folder, which may be on a shared disk.
processes_max = 2000  # Of one task at once: four for each core of a large machine; login sessions end at about 10,000.
measured_run_s_min = 0.1  # Calls, and sandboxes, of shorter bodies are not measured: that would take as long as they.
disk_look_rest = 10  # After a look at sandboxes the next one waits so many times as long as that took.
spare_sandboxes_max = 64  # That wait for a next body: as many as short commands run at once on a large machine.
host_memory_reused = 0.5  # A host that has kept more of the next call's memory limit than this is not used for it.

# --- the store ---
disk_full_bytes = 1 << 20  # A command that fails with less than this free has failed for want of space.
ledger_wait_s = 60.0  # Another worker of this host has the ledger for milliseconds; one that was stopped in it, longer.
ledger_allocated_bytes = 2 << 20  # Disk space that its database, and the log before it, have from the start ...
ledger_log_pages = 256  # ... and the log begins anew after so many: half of that, for a change may be long.
mate_look_s = 0.05  # While another worker of this host unpacks what we need, we look so often whether it is there ...
mate_unpacks_max_s = 120.0  # ... and after this unpack it too: a worker that was stopped may go on late or never.
chunks_indexed_max = 1 << 17  # Looked for in complete objects before they are fetched: some 30 MB of memory a worker.
own_room_bytes = 1 << 20  # A store reserves room for its own small objects by so much: they come by the thousand ...
own_room_free_bytes = 128 << 20  # ... while so much is free; others may need what one has only reserved.
disk_reserve_bytes = 64 << 20  # Never fill a file system to the last byte: other programs live there.
mapped_objects_max = 64  # Files kept mapped for serving; each costs a descriptor.
archive_member_bytes_max = 1 << 50  # A larger size in a header is damage.
environments_kept_bytes_max = 50 << 30  # In a user's cache: some ten large ones; the least recently used go.
requirements_max = 10_000  # Lines; a file of more is something else.
archive_name_chars_max = 2048  # Half of PATH_MAX: the rest is for the folder that it is unpacked into.
archive_depth_max = 128  # Folders within each other; node_modules of node_modules stay below 60.
unpacked_ratio_max = 100  # An archive that grows more is a bomb: software grows 3 times, logs some 20 ...
unpacked_bytes_unasked = 256 << 20  # ... unless it is no more than this.
written_beside_bytes_min = 1 << 20  # Of a file: it takes 300 us to write, and 50 us to be handed to another thread.
unpack_threads_max = 4  # Beside the one that makes files: twice what it takes to keep that one busy.
pack_frame_bytes = 4 << 20  # Of our own archives: large enough to compress well, small enough to spread over cores.
pack_frame_bytes_max = 64 << 20  # A reader takes no larger frame into memory.

# --- unpacking, on a worker ---
unpackings_max = 2  # Processes at once for archives that are here; each may keep several cores busy.
unpackings_ahead_max = 2  # ... and for archives that still arrive: each holds some 30 MB while it waits for bytes.

# --- journal ---
journal_commit_s = 0.05  # The longest that a record waits for its group commit.
journal_retry_s = 1.0  # After a write that failed (a full disk, say) it is tried again.
journal_records_waiting_max = 500_000  # Above this, about 500 MB, a journal that cannot be written is given up.
statistics_rows_kept = 600  # Of the views' rows, one a second: ten minutes of curves.
statistics_interval_s = 1.0  # A row for the views, and news for the client, at most so often.

# --- the manager's end ---
farewell_s = 0.5  # Workers that were told to end have so long to say goodbye; those far away end without being heard.
linger_s = 0.2  # ... and what is still queued for the network has so long to leave.

# --- the factory ---
workers_max = 100_000  # Of a factory or a broadcast; ten times what the manager is measured with: more is a slip.
idle_timeout_s = 60.0  # Workers in surplus for so long are released; starting one again costs its cache.
factory_cycle_s = 10.0  # Between two looks at a batch system: its administrators ask for no more.
worker_young_s = 10.0  # A worker that ends unasked so soon after it came has found something broken.
worker_start_max_s = 600.0  # From a job's start until its worker is heard: cold shared disks may take minutes.
launch_backoff_s = 1.0  # The first pause after a young death or a refusal; each further one doubles it ...
launch_backoff_max_s = 60.0  # ... up to this: a repaired machine is noticed within a minute.
launch_batch_max = 1000  # Workers in one submission: what Slurm takes in one array unless its configuration says more.
worker_stop_grace_s = 8.0  # From SIGTERM to SIGKILL for a worker, which stops its tasks and clears its disk first.
batch_look_first_s = 1.0  # After a submission or a removal the batch system is looked at so soon, then ever later.
batch_command_max_s = 60.0  # A command of the batch system that takes longer has failed.
batch_release_max_s = 30.0  # At its end a factory waits so long for its jobs to be gone, and names those that are not.
batch_release_look_s = 0.2  # ... and looks so often.
batch_jobs_a_command = 500  # Named on one command line: far below the kernel's limit.
batch_memory_mb = 2000.0  # Of a worker's memory for each core, where nothing was said: what most nodes have at least.
batch_disk_mb = 5000.0  # ... and of its disk.
wall_reserve_s = 30.0  # A job's last seconds, in which its worker leaves: from SIGTERM to SIGKILL Slurm gives as many.
wall_drain_s = 60.0  # Before the end of its wall time a worker gets no more tasks for so long ...
wall_drain_share = 0.1  # ... or for this share of it, if that is less.

# --- client ---
queued_submissions_max = 100_000  # `submit` blocks above this many unsent tasks.
open_tasks_max = 1_000_000  # Of one client: above, `submit` waits for ends; each costs the client about 0.6 KiB ...
open_bytes_max = 1 << 30  # ... and the manager its arguments: so many bytes of those over the next limit ...
open_bytes_counted_from = 1 << 10  # ... which is when they are more than the rest of a task.
crowded_pause_s = 0.05  # `submit` waits no longer than this: what cannot end, for want of workers say, locks nobody up.
burst_items = 128  # A thread that submits without a pause gives way to the IO thread when so many are unsent ...
burst_hold_s = 0.001  # ... which waits so long for as many; a lone task goes at once.
give_way_s = 1e-5  # It sleeps for that as short as it can.
drained_items_max = 4096  # Of the queue to the manager, a turn of the IO thread, so that answers are read in between.
functions_kept_max = 1024  # Serialised functions that stay declared; the least recently called is forgotten first.
shared_unasked_bytes_min = 1 << 20  # Longer bytes and text among a call's arguments are shared by identity ...
shared_unasked_max = 64  # ... and held while so many are, of those that came last ...
shared_unasked_bytes = 256 << 20  # ... and no more bytes of them, unless it is one alone.
unstaged_bytes_max = 256 << 20  # Large values waiting to be written and hashed; `submit` blocks above.
unread_bytes_max = 64 << 20  # What the manager has not acknowledged yet: above, submissions wait in our queue.
staging_threads = 2  # Write, hash and pack what was declared; packing an environment must not hold up a file.
manager_restarts_max = 3  # By the client that has started it: what dies more often dies of the run itself.
factory_restarts_max = 3  # ... and so of a factory.
workerless_max_s = 10.0  # Without factory and workers calls fail after so long: a restarted manager's are back sooner.
manager_start_timeout_s = 30.0  # Until a started manager says that it is ready; a cold shared filesystem is slow.
factory_start_timeout_s = 30.0  # ... and until a started factory has been admitted.
client_farewell_s = 0.25  # A closing client waits so long for an acknowledgement, then for the network.
run_end_s = 10.0  # From the end of a run until what it started is stopped by signals: workers clean up meanwhile.
