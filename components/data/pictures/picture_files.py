"""Which files are pictures, by name and size, and which entries of a folder are nobody's input."""

SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".tif", ".tiff")
EXPECTED = "PNG, JPEG, WebP, BMP or TIFF files"
MAX_BYTES = 512 * 2**20

# What systems leave behind in any folder, in lower case; hidden names (.DS_Store, ._x, .Trash-1000) are left out too.
SYSTEM_FILES = {"thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "icon\r"}
SYSTEM_FOLDERS = {
    *("lost+found", "system volume information", "$recycle.bin", "found.000", "__macosx", "__pycache__"),
    *("network trash folder", "temporary items", "~snapshot"),  # Apple's file sharing, NetApp
    *("@eadir", "#recycle", "#snapshot", "@tmp", "@recycle", "@recently-snapshot"),  # Synology, QNAP
}
SYSTEM_NAMES = SYSTEM_FILES | SYSTEM_FOLDERS
HIDDEN, OF_SYSTEM = "hidden", "of the system"  # kinds of what is ignored


def too_large(size: int) -> str:
    """Why a file of so many bytes is not read, "" where it is."""
    return f"{size:,} bytes; expected at most {MAX_BYTES:,}" if size > MAX_BYTES else ""


def ignored_kind(name: str) -> str:
    """What an entry of this *name* is, where it is ignored; "" where it is not."""
    lower = name.lower()
    if lower.startswith("."):
        return HIDDEN
    return OF_SYSTEM if lower in SYSTEM_NAMES else ""
