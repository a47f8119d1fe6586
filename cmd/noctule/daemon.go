package main

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// daemonVariable marks the background process and names the file descriptor on which it reports its start. A Go
// process cannot fork, so -d starts the same command again in a session of its own.
const daemonVariable = "NOCTULE_DAEMON_FD"

// daemonize starts the background process and waits until it listens or has failed. done is false in that process.
func daemonize(args []string) (done bool, status int) {
	if os.Getenv(daemonVariable) != "" {
		return false, 0
	}
	path, err := os.Executable()
	if err != nil {
		fmt.Fprintf(os.Stderr, "Error: find the running program for -d: %s\n", err)
		return true, exitSetup
	}
	r, w, err := os.Pipe()
	if err != nil {
		fmt.Fprintf(os.Stderr, "Error: open a pipe for -d: %s\n", err)
		return true, exitSetup
	}
	cmd := exec.Command(path, args[1:]...)
	cmd.Args[0] = args[0]
	cmd.Env = append(os.Environ(), daemonVariable+"=3")
	cmd.ExtraFiles = []*os.File{w}
	cmd.Stderr = os.Stderr // shows what goes wrong during the start
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		fmt.Fprintf(os.Stderr, "Error: start in the background: %s\n", err)
		return true, exitSetup
	}
	w.Close()
	var report [1]byte
	if n, _ := r.Read(report[:]); n == 1 {
		return true, int(report[0])
	}
	_ = cmd.Wait()
	return true, exitSetup
}

// daemonReport tells the process that was started with -d how the start went.
func daemonReport(status int) {
	if os.Getenv(daemonVariable) == "" {
		return
	}
	os.Unsetenv(daemonVariable)
	f := os.NewFile(3, "daemon report")
	_, _ = f.Write([]byte{byte(status)}) // the parent may have gone
	f.Close()
	if status != exitOK {
		return
	}
	// Nobody who waits for the end of our output must wait for the broker's end.
	if null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0); err == nil {
		for fd := range 3 {
			_ = syscall.Dup3(int(null.Fd()), fd, 0)
		}
		null.Close()
	}
}
