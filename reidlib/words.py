"""Numbers in sentences."""


def counted(number: int, one: str, many: str = "") -> str:
    """Return a number and what it counts; `many` is the plural where an s does not make it.

    >>> counted(1, "person", "people"), counted(0, "track")
    ('1 person', '0 tracks')
    """
    return f"{number} {one if number == 1 else many or f'{one}s'}"
