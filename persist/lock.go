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

// takeLock locks dir until the file is closed. Where the lock's file cannot be made, the directory itself is locked; the file
// is nil when neither is possible, and note says so.
func takeLock(dir string) (f *os.File, note string, err error) {
	path := filepath.Join(dir, lockName)
	f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		f, err = os.Open(path)
	}
	if err != nil {
		f, err = os.Open(dir)
	}
	if err == nil {
		err = again(func() error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) })
	}
	if errors.Is(err, syscall.EWOULDBLOCK) {
		owner, _ := os.ReadFile(path)
		_ = f.Close()
		return nil, "", &LockedError{Dir: dir, Process: strings.TrimSpace(string(owner))}
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Sprintf("%s cannot be locked: %v. Make sure that no other broker uses it.", dir, err), nil
	}
	// The number is only for the sentence below: a full disk must not keep the broker from starting.
	if f.Truncate(0) == nil {
		_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	return f, "", nil
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
