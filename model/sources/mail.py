"""Who wrote a mail: a person, a machine, a list, ourselves."""


def is_auto_reply(subject: str, headers: str) -> bool:
    """X"""
    return False
