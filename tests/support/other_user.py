"""Another user than the one who runs the tests, where that is root: nobody's number, who owns nothing here.

The interpreter and the folders of the tests may be root's alone, so this user may read what nobody could not: the
capability to read every file goes along. Writing takes the rights that anybody needs.
"""

import os
import subprocess
from pathlib import Path

UID = 65534
BECOME = (
    *("setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", "--pdeathsig=KILL"),
    *("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search", "--securebits=+no_setuid_fixup"),
)
ONLY_ROOT = "only root may run a command as another user"


def prefix() -> tuple[str, ...]:
    """What makes a command another user's; () where this process may not become one."""
    if os.geteuid():
        return ()
    try:
        return BECOME if not subprocess.run([*BECOME, "true"], check=False).returncode else ()
    except FileNotFoundError:
        return ()


def give(*folders: Path) -> None:
    """Make *folders*, with all that is in them, that user's; nothing where there is none."""
    if prefix():
        subprocess.run(["chown", "-R", f"{UID}:{UID}", *folders], check=True)
