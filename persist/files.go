package persist

import (
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// files is what the journal needs of a directory. Names are without their directory. A power cut may lose, in any order,
// what was written to a file since its last sync, and names that were made, changed or removed since the last syncDir.
type files interface {
	create(name string) (file, error) // for writing; what was there is emptied
	open(name string) (file, error)   // for writing what is there
	read(name string) ([]byte, error) // with what could be read when there is an error
	list() ([]string, error)
	remove(name string) error
	rename(from, to string) error
	syncDir() error
	// capacity is how many bytes the file system has; the largest number where it does not tell.
	capacity() int64
}

type file interface {
	writeAt(b []byte, offset int64) error // part of b may be there after an error
	allocate(offset, n int64) error       // makes room that reads as zeros
	truncate(size int64) error
	sync() error // also of a file whose name was removed by somebody else: errRemoved
	close() error
}

// osFiles is the directory of that name.
type osFiles string

func (d osFiles) path(name string) string { return filepath.Join(string(d), name) }

func (d osFiles) create(name string) (file, error) {
	f, err := os.OpenFile(d.path(name), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	return osFile{f}, err
}

func (d osFiles) open(name string) (file, error) {
	f, err := os.OpenFile(d.path(name), os.O_WRONLY, 0)
	return osFile{f}, err
}

func (d osFiles) read(name string) ([]byte, error) {
	f, err := os.Open(d.path(name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	b := make([]byte, info.Size())
	n, err := io.ReadFull(f, b)
	return b[:n], err
}

func (d osFiles) list() ([]string, error) {
	entries, err := os.ReadDir(string(d))
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, err
}

func (d osFiles) remove(name string) error     { return os.Remove(d.path(name)) }
func (d osFiles) rename(from, to string) error { return os.Rename(d.path(from), d.path(to)) }

func (d osFiles) syncDir() error {
	f, err := os.Open(string(d))
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

func (d osFiles) capacity() int64 {
	var s unix.Statfs_t
	if again(func() error { return unix.Statfs(string(d), &s) }) != nil || s.Blocks == 0 {
		return math.MaxInt64
	}
	return int64(s.Blocks) * int64(s.Bsize)
}

type osFile struct{ f *os.File }

func (o osFile) writeAt(b []byte, offset int64) error {
	_, err := o.f.WriteAt(b, offset)
	return err
}

// allocate leaves file systems alone that cannot: a full disk is an error of writeAt there.
func (o osFile) allocate(offset, n int64) error {
	err := again(func() error { return syscall.Fallocate(int(o.f.Fd()), 0, offset, n) })
	if errors.Is(err, syscall.EOPNOTSUPP) || errors.Is(err, syscall.ENOSYS) {
		return nil
	}
	return err
}

func (o osFile) sync() error {
	if err := again(func() error { return syscall.Fdatasync(int(o.f.Fd())) }); err != nil {
		return err
	}
	var s syscall.Stat_t
	if err := syscall.Fstat(int(o.f.Fd()), &s); err == nil && s.Nlink == 0 {
		return errRemoved
	}
	return nil
}

// errRemoved is of a file that nobody will find again.
var errRemoved = errors.New("the file was removed while the broker runs; what is in no other file is lost")

func (o osFile) truncate(size int64) error { return o.f.Truncate(size) }
func (o osFile) close() error              { return o.f.Close() }

// again calls f until no signal interrupts it.
func again(f func() error) error {
	for {
		if err := f(); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
