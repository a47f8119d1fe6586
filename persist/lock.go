package persist

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// lockName is the file whose lock says that a broker uses the directory. It holds the process id.
const lockName = "lock"

// takeLock locks dir until the file is closed. The file is nil on a read-only file system without one: nobody can write there.
func takeLock(dir string) (*os.File, error) {
	path := filepath.Join(dir, lockName)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if errors.Is(err, syscall.EROFS) || errors.Is(err, os.ErrPermission) {
		f, err = os.Open(path)
		if errors.Is(err, os.ErrNotExist) {
			return nil, nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("lock the stored state: %w", err)
	}
	err = again(func() error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) })
	if errors.Is(err, syscall.EWOULDBLOCK) {
		owner, _ := os.ReadFile(path)
		f.Close()
		return nil, &LockedError{Dir: dir, Process: strings.TrimSpace(string(owner))}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %q: %w", path, err)
	}
	// The number is only for the sentence above: a full disk must not keep the broker from starting.
	if f.Truncate(0) == nil {
		_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	return f, nil
}

// LockedError says that another process uses the directory.
type LockedError struct {
	Dir     string
	Process string // may be empty
}

func (e *LockedError) Error() string {
	if e.Process == "" {
		return fmt.Sprintf("%q is in use by another broker", e.Dir)
	}
	return fmt.Sprintf("%q is in use by another broker (process %s)", e.Dir, e.Process)
}
