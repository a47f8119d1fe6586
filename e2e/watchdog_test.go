package e2e

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestWatchdogOfABrokerThatIsStuck stops the thread of one loop: the service manager must not hear that all is well.
func TestWatchdogOfABrokerThatIsStuck(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	must(t, err)
	defer socket.Close()
	conf, log := filepath.Join(t.TempDir(), "noctule.conf"), filepath.Join(t.TempDir(), "log")
	writeFile(t, conf, fmt.Sprintf("user root\nlistener %d 127.0.0.1\nallow_anonymous true\nlog_dest file %s\n", freePort(t), log))
	cmd := exec.CommandContext(soon(t), brokerPath, "-c", conf)
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+path, "WATCHDOG_USEC=200000")
	must(t, cmd.Start())
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	alive := func(limit time.Duration) bool {
		t.Helper()
		must(t, socket.SetReadDeadline(time.Now().Add(limit)))
		buf := make([]byte, 200)
		for {
			n, err := socket.Read(buf)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return false
			}
			must(t, err)
			if string(buf[:n]) == "WATCHDOG=1" {
				return true
			}
		}
	}
	if !alive(patience) {
		t.Fatal("no sign of life")
	}
	// A tracer stops single threads. It is one thread itself.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	thread := pinnedThread(t, cmd.Process.Pid)
	if err := syscall.PtraceAttach(thread); err != nil {
		t.Skipf("threads cannot be stopped here: %v", err)
	}
	if _, err := syscall.Wait4(thread, nil, unix.WALL, nil); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, func() bool {
		said, _ := os.ReadFile(log)
		return strings.Contains(string(said), "Error: a loop has not turned for 100ms: ")
	})
	for alive(10 * time.Millisecond) { // what was said before
	}
	if alive(500 * time.Millisecond) {
		t.Error("it says that it is alive")
	}
	must(t, syscall.PtraceDetach(thread))
	if !alive(patience) {
		t.Error("it does not say that it is alive again")
	}
}

// pinnedThread is a thread that may run on one CPU only, as those of loops do.
func pinnedThread(t *testing.T, pid int) int {
	t.Helper()
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	must(t, err)
	for _, task := range tasks {
		var set unix.CPUSet
		thread, err := strconv.Atoi(task.Name())
		must(t, err)
		if unix.SchedGetaffinity(thread, &set) == nil && set.Count() == 1 {
			return thread
		}
	}
	t.Skip("no thread is pinned: there is one CPU, or a quota")
	return 0
}
