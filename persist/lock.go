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

// lockName is the file that holds the id of the process that uses the directory. What is locked is the directory itself: a file may be
// removed, as files of this name are by those who think that a dead process has left them.
const lockName = "lock"

// takeLock locks dir until f is closed. f is nil when that is not possible, and note says so.
func takeLock(dir string) (f *os.File, note string, err error) {
	path := filepath.Join(dir, lockName)
	f, err = os.Open(dir)
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
	_ = os.WriteFile(path, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o600)
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
