"""A real Slurm of one node on loopback: munged, slurmctld and slurmd with a configuration of our own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import IO

from tests.waiting import until

# The node pretends to have more cores than the machine, and hands out whole ones.
CONFIGURATION = """
ClusterName=vine
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0
SlurmdParameters=config_overrides
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
ReturnToService=2
KillWait=5
MinJobAge=2
NodeName={host} NodeAddr=127.0.0.1 CPUs=8 RealMemory=16000 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=60 State=UP
"""


class SlurmCluster:
    """Up when made; `close` ends its daemons and all jobs."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="slurm-of-tests-"))  # A socket's path must be short.
        self.folder.chmod(0o755)
        self._daemons: list[subprocess.Popen[bytes]] = []
        self._logs: list[IO[bytes]] = []
        for name in ("state", "spool"):
            (self.folder / name).mkdir()
        configuration = self.folder / "slurm.conf"
        configuration.write_text(
            CONFIGURATION.format(
                host=socket.gethostname().split(".")[0],
                folder=self.folder,
                controller_port=_free_port(),
                node_port=_free_port(),
            )
        )
        self.variables = {"SLURM_CONF": str(configuration)}
        try:
            self._start_daemons()
        except BaseException:
            self.close()
            raise

    def _start_daemons(self) -> None:
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o600)
        names = {"key-file": "munge.key", "socket": "munge.socket", "pid-file": "munge.pid", "seed-file": "munge.seed"}
        options = [f"--{option}={self.folder / name}" for option, name in names.items()]
        self._start("munged", "--foreground", "--force", f"--log-file={self.folder / 'munge.log'}", *options)
        until((self.folder / "munge.socket").exists, "munged listens")
        self._start("slurmctld", "-D", "-i")
        self._start("slurmd", "-D")
        until(lambda: "idle" in self.run("sinfo", "--noheader", "--format=%t", may_fail=True), "the node is there")

    def _start(self, *command: str) -> None:
        log = open(self.folder / f"{command[0]}.log", "wb")  # noqa: SIM115 - as long as the daemon
        self._logs.append(log)
        variables = {**os.environ, **self.variables}
        self._daemons.append(subprocess.Popen(command, stdout=log, stderr=log, env=variables))

    def run(self, *command: str, may_fail: bool = False) -> str:
        ended = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **self.variables})
        assert may_fail or ended.returncode == 0, ended.stderr
        return ended.stdout

    def jobs(self) -> dict[str, str]:
        """The state of each job that has not ended, by what Slurm calls it."""
        lines = self.run("squeue", "--noheader", "--array", "--format=%F_%K %T").splitlines()
        return dict(line.split() for line in lines)

    def running(self) -> list[str]:
        return [job for job, state in self.jobs().items() if state == "RUNNING"]

    def clear(self) -> None:
        """Ends all jobs, and returns when none is left."""
        self.run("scancel", "--user=root", may_fail=True)
        until(lambda: not self.jobs(), "all jobs are gone")

    def close(self) -> None:
        if len(self._daemons) == 3:
            self.clear()
        for daemon in reversed(self._daemons):
            daemon.terminate()
            daemon.wait(30)
        for log in self._logs:
            log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
