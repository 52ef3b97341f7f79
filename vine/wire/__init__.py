"""The language of the processes: messages, their encoding, sessions, sockets and keys."""
