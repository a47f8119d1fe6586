package persist

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
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
}

type file interface {
	writeAt(b []byte, offset int64) error // part of b may be there after an error
	allocate(offset, n int64) error       // makes room that reads as zeros
	truncate(size int64) error
	sync() error
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
	return again(func() error { return syscall.Fdatasync(int(o.f.Fd())) })
}

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
