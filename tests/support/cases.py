"""The cases of a test script, printed as cmocka prints its own, so that tests/run counts both."""
import sys
import traceback


class Cases:
    def __init__(self):
        self.failed = 0

    def run(self, name, check, reason=""):
        """Runs check(); complaints that it returns, or an exception, fail the case.

        The reason says why the case matters; it is printed below the complaints.
        """
        print(f"[ RUN      ] {name}", flush=True)
        try:
            complaints = list(check() or [])
        except Exception:  # a broken check is a failed one
            complaints = [traceback.format_exc()]
        for complaint in complaints:
            print(complaint)
        if complaints and reason:
            print(f"why: {reason}")
        self.failed += bool(complaints)
        print(f"[  {'FAILED  ' if complaints else '     OK '}] {name}", flush=True)

    def skip(self, name, reason):
        print(f"[ RUN      ] {name}\n{reason}\n[  SKIPPED ] {name}", flush=True)

    def finish(self):
        sys.exit(1 if self.failed else 0)
