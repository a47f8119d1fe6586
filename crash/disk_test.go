package crash

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
)

// The sizes of the two file systems. Their images are sparse.
const (
	innerBytes = 1 << 30
	outerBytes = innerBytes + innerBytes/4
)

// disk is a file system whose power can be cut.
//
//	DIR/outer.img ─loop─▶ DIR/outer/disk.img ─loop─▶ DIR/disk
//
// What the broker writes to DIR/disk stays in the page cache until somebody syncs it or the kernel writes it back; only then it
// comes to disk.img. A cut freezes the outer file system, so that disk.img stands still between two requests of the block layer,
// takes a copy and puts that in the place of disk.img for the next mount, which replays its journal. The journal's timer is set
// so high that it syncs nothing by chance. There is no volatile cache behind disk.img: what ext4 has sent is there.
//
// The mounts are seen by one thread only, which ends with the test, and with it they do, however the test ends.
type disk struct {
	dir    string
	mounts int // how often the inner file system was mounted
}

// newDisk makes and mounts the file systems, or skips the test where that is not possible.
func newDisk(t *testing.T) *disk {
	t.Helper()
	for _, tool := range []string{"mkfs.ext4", "mount", "umount"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("install e2fsprogs and mount to run this test: %v", err)
		}
	}
	if os.Geteuid() != 0 {
		t.Skip("run this test as root: it mounts loop devices")
	}
	runtime.LockOSThread() // never undone: the thread is not fit for others
	if err := syscall.Unshare(syscall.CLONE_NEWNS); err != nil {
		t.Skipf("this test needs the right to mount: %v", err)
	}
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		t.Skipf("this test needs the right to mount: %v", err)
	}
	d := &disk{dir: t.TempDir()}
	if err := d.create(); err != nil {
		t.Skipf("this test needs loop devices: %v", err)
	}
	t.Cleanup(func() {
		for _, where := range []string{"disk", "outer"} {
			if err := command("umount", d.path(where)); err != nil {
				t.Errorf("unmount: %v", err)
			}
		}
	})
	if err := d.mount(); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *disk) path(name string) string { return filepath.Join(d.dir, name) }
func (d *disk) image() string           { return d.path("outer/disk.img") }

// create makes both file systems and mounts the outer one.
func (d *disk) create() error {
	if err := errors.Join(os.Mkdir(d.path("outer"), 0o755), os.Mkdir(d.path("disk"), 0o755), sparse(d.path("outer.img"), outerBytes),
		command("mkfs.ext4", "-q", "-O", "^has_journal", d.path("outer.img"))); err != nil {
		return err
	}
	if err := command("mount", "-o", "loop,noatime", d.path("outer.img"), d.path("outer")); err != nil {
		return err
	}
	if err := errors.Join(sparse(d.image(), innerBytes),
		command("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", d.image())); err != nil {
		return errors.Join(err, command("umount", d.path("outer")))
	}
	return nil
}

// mount mounts the inner file system, every second time in the mode in which a file may have its new size before its content.
func (d *disk) mount() error {
	data := [...]string{"ordered", "writeback"}[d.mounts%2]
	d.mounts++
	return command("mount", "-o", "loop,noatime,commit=600,data="+data, d.image(), d.path("disk"))
}

// cut is a power cut and the next start: what was not on the disk is gone. kill ends those who use the disk.
func (d *disk) cut(kill, end func()) error {
	outer, err := os.Open(d.path("outer"))
	if err != nil {
		return err
	}
	defer outer.Close()
	if err := control(outer, fiFreeze); err != nil {
		return fmt.Errorf("freeze: %w", err)
	}
	err = copySparse(d.image(), d.path("copy.img"))
	kill() // before the thaw lets it acknowledge what the copy does not have
	if thawed := control(outer, fiThaw); thawed != nil {
		return fmt.Errorf("thaw: %w", thawed)
	}
	end()
	if err != nil {
		return err
	}
	if err := command("umount", d.path("disk")); err != nil {
		return err
	}
	if err := copySparse(d.path("copy.img"), d.image()); err != nil {
		return err
	}
	return d.mount()
}

// The requests that freeze a file system and let it go.
const (
	fiFreeze = 0xC0045877
	fiThaw   = 0xC0045878
)

func control(f *os.File, request uintptr) error {
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), request, 0); errno != 0 {
		return errno
	}
	return nil
}

func command(name string, args ...string) error {
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, bytes.TrimSpace(out))
	}
	return nil
}

func sparse(path string, size int64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(size), f.Close())
}

const (
	seekData = 3
	seekHole = 4
)

// copySparse copies a file without its holes; to is made anew.
func copySparse(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	size, err := in.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if err := sparse(to, size); err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	for end := int64(0); ; {
		begin, err := in.Seek(end, seekData)
		if errors.Is(err, syscall.ENXIO) { // nothing but a hole is left
			return out.Close()
		}
		if err == nil {
			end, err = in.Seek(begin, seekHole)
		}
		if err == nil {
			_, err = io.Copy(io.NewOffsetWriter(out, begin), io.NewSectionReader(in, begin, end-begin))
		}
		if err != nil {
			return errors.Join(err, out.Close())
		}
	}
}

// TestCutLosesWhatIsNotSynced holds the disk to its promise. The kernel may write back what was not synced, or somebody may sync
// all disks, so that one case in three suffices; what was synced must be there each time.
func TestCutLosesWhatIsNotSynced(t *testing.T) {
	d := newDisk(t)
	write := func(name string, text string, synced bool) {
		f, err := os.OpenFile(d.path("disk/"+name), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err == nil {
			_, err = f.WriteString(text)
		}
		if err == nil && synced {
			err = f.Sync()
		}
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
	}
	read := func(name string) string {
		b, _ := os.ReadFile(d.path("disk/" + name))
		return string(b)
	}
	gone := 0
	for i := range 3 {
		kept, open := fmt.Sprint("kept", i), fmt.Sprint("open", i)
		write(open, "never synced", false)
		write(kept, "first ", true)
		write(kept, "second", false)
		if err := d.cut(func() {}, func() {}); err != nil {
			t.Fatal(err)
		}
		for j := range i + 1 {
			if got := read(fmt.Sprint("kept", j)); got != "first " && got != "first second" {
				t.Fatalf("of what was synced before cut %d, %q is there after cut %d", j, got, i)
			}
		}
		if read(open) == "" && read(kept) == "first " {
			gone++
		}
	}
	if gone == 0 {
		t.Error("what was not synced was there after each cut")
	}
}
