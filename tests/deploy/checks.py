"""Runs the checks of helm.sh: each is a function whose name begins with `check_`, and raises when it does not hold.

Names as arguments run only those.
"""

import sys
import traceback

import checks_ci
import checks_documents
import checks_pod
import checks_rendering
import checks_values

MODULES = [checks_rendering, checks_pod, checks_values, checks_documents, checks_ci]


def main():
    wanted = sys.argv[1:]
    passed = failed = 0
    checks = {name: check for module in MODULES for name, check in vars(module).items() if name.startswith("check_")}
    for name, check in checks.items():
        if wanted and name.removeprefix("check_") not in wanted:
            continue
        try:
            check()
        except Exception as error:  # Whatever it is, the other checks run.
            failed += 1
            kind = "" if isinstance(error, AssertionError) else traceback.format_exc()
            print(
                f"FAILED {name.removeprefix('check_')}: {error or 'does not hold'}\n{kind or traceback.format_exc(-1)}"
            )
        else:
            passed += 1
            print(f"ok     {name.removeprefix('check_')}")
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main()
