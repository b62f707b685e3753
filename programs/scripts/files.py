"""CPython and the file system: everything happens in /scratch, which starts out empty and is empty at the end."""

import errno
import os
import pathlib
import shutil
import stat


def show(name, *values):
    print(f"{name}:", *values)


def refused(action, *arguments):
    try:
        action(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "allowed"


root = pathlib.Path("/scratch")
show("empty", os.listdir(root))

text = root / "text.txt"
show("written", text.write_text("first\nsecond\nthird\n"), text.stat().st_size)
with open(text, "a") as f:
    f.write("fourth\n")
with open(text, "r+b") as f:
    f.seek(6)
    f.write(b"SECOND")
    f.seek(-7, os.SEEK_END)
    show("tail", f.read(), f.tell())
    f.truncate(13)
show("lines", text.read_text().splitlines())

show("exclusive", refused(open, text, "x"))
show("absent", refused(open, root / "absent"), refused(os.listdir, root / "absent"), refused(os.remove, root / "absent"))
show("not a directory", refused(os.listdir, text), refused(open, text / "below"))

deep = root / "a" / "b" / "c"
deep.mkdir(parents=True)
show("exists", refused(os.mkdir, deep), refused(os.rmdir, root / "a"))
for i in range(300):
    (deep / f"file-{i:03}").write_bytes(bytes([i % 256]) * i)
names = os.listdir(deep)
show("many files", len(names), min(names), max(names), sum(e.stat().st_size for e in os.scandir(deep)))
show("glob", len(list(root.glob("a/**/*-1*5"))), [n.name for n in sorted(deep.glob("*29?"))][:3])
show("walk", [(os.path.basename(d), len(dirs), len(files)) for d, dirs, files in os.walk(root)])

os.rename(text, root / "renamed.txt")
os.replace(deep / "file-299", root / "replaced")
show("renamed", text.exists(), (root / "renamed.txt").exists(), (root / "replaced").stat().st_size)
os.link(root / "renamed.txt", root / "hard")
show("hard link", (root / "hard").stat().st_nlink, os.path.samefile(root / "hard", root / "renamed.txt"))
os.symlink("renamed.txt", root / "soft")
show("symbolic link", os.readlink(root / "soft"), (root / "soft").read_text().split(), stat.S_ISLNK(os.lstat(root / "soft").st_mode))
os.utime(root / "hard", (1_000_000_000, 1_234_567_890))
show("times", int(os.stat(root / "hard").st_mtime))

# Such links may be refused at once; where they are not, nothing can be reached through them.
refused(os.symlink, "/", root / "escape")
refused(os.symlink, "../../..", root / "up")
show("outside", refused(open, root / "escape" / "etc" / "passwd") != "allowed", refused(os.listdir, root / "up") != "allowed")
show("outside by dots", refused(open, "/scratch/../etc/passwd") != "allowed")

fd = os.open(root / "low", os.O_RDWR | os.O_CREAT)
os.write(fd, b"0123456789")
show("positions", os.pread(fd, 4, 3), os.pwrite(fd, b"xy", 8), os.lseek(fd, 0, os.SEEK_CUR), os.fstat(fd).st_size)
os.fsync(fd)
os.close(fd)
show("closed", refused(os.read, fd, 1))

shutil.copytree(root / "a", root / "copy")
show("copied", len(os.listdir(root / "copy" / "b" / "c")))
for entry in sorted(root.iterdir()):
    if not entry.is_symlink() and entry.is_dir():
        shutil.rmtree(entry)
    else:
        entry.unlink()
show("empty again", os.listdir(root))
