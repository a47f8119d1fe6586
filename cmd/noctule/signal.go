package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// brokerSignals are the signals of `noctule signal` by name: mosquitto_signal's, and save.
var brokerSignals = []struct {
	name string
	sig  syscall.Signal // 0: this broker has nothing to answer it with
	help string
}{
	{"config-reload", syscall.SIGHUP, "read the configuration again, and reopen the log file"},
	{"log-rotate", signalRotate, "close and reopen the log file"},
	{"save", syscall.SIGUSR1, "write the persistent state to disk"},
	{"shutdown", syscall.SIGTERM, "stop"},
	{"tree-print", syscall.SIGUSR2, "print the subscription tree to the broker's stdout"},
	{"xtreport", 0, "not available: a report of Mosquitto's memory"},
}

func signalWords() []string {
	words := []string{"-a", "-p"}
	for _, s := range brokerSignals {
		words = append(words, s.name)
	}
	return words
}

func signalUsage(name string, w io.Writer) {
	fmt.Fprintf(w, "Usage: %s {-a | -p PID} SIGNAL\n\n -a : signal every broker on this machine that you may signal\n -p : signal this process\n\nSignals:\n", name)
	for _, s := range brokerSignals {
		fmt.Fprintf(w, " %-14s %s\n", s.name, s.help)
	}
}

// signalMain sends a named signal to one broker or to all of them, and returns the exit status: 0 when every signal was
// sent, to one process at least. name is what it calls itself.
func signalMain(name string, args []string, stdout, stderr io.Writer) int {
	fail := func(format string, a ...any) int {
		fmt.Fprintf(stderr, "Error: "+format+"\n", a...)
		return exitSetup
	}
	var pids []int
	all, word := false, ""
	for i := 0; i < len(args); i++ {
		switch {
		case args[i] == "-h" || args[i] == "--help":
			signalUsage(name, stdout)
			return exitOK
		case args[i] == "-a":
			all = true
		case args[i] == "-p" && i+1 == len(args):
			return fail("-p argument given, but no process id specified.")
		case args[i] == "-p":
			i++
			pid, err := strconv.Atoi(args[i])
			if err != nil || pid < 1 {
				return fail("Invalid process id specified (%s).", args[i])
			}
			pids = append(pids, pid)
		case strings.HasPrefix(args[i], "-") || word != "":
			signalUsage(name, stdout)
			return fail("Unknown option '%s'.", args[i])
		default:
			word = args[i]
		}
	}
	if word == "" || all == (len(pids) > 0) {
		signalUsage(name, stdout)
		return fail("a signal and either -a or -p are needed.")
	}
	i := slices.IndexFunc(brokerSignals, func(s struct {
		name string
		sig  syscall.Signal
		help string
	}) bool {
		return s.name == word
	})
	if i < 0 {
		return fail("Unknown signal '%s'.", word)
	}
	if brokerSignals[i].sig == 0 {
		return fail("Noctule has no answer to the signal '%s'.", word)
	}
	if all {
		if pids = brokerPIDs(); len(pids) == 0 {
			return fail("no running broker was found.")
		}
	}
	status := exitOK
	for _, pid := range pids {
		if err := syscall.Kill(pid, forProcess(pid, brokerSignals[i].sig)); err != nil {
			status = fail("signal process %d: %s.", pid, err)
		}
	}
	return status
}

// forProcess is how a signal is sent to a process: SIGRTMIN would end a Mosquitto before 2.1, which reopens its log on
// SIGHUP as every version does.
func forProcess(pid int, sig syscall.Signal) syscall.Signal {
	if sig == signalRotate && commandOf(pid) == "mosquitto" {
		if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); err != nil || filepath.Base(exe) == "mosquitto" {
			return syscall.SIGHUP
		}
	}
	return sig
}

// brokerPIDs finds the processes that run a broker, of Mosquitto's name or of ours, and not a tool of it.
func brokerPIDs() []int {
	entries, _ := os.ReadDir("/proc") // none found is the answer to an error, too
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		switch commandOf(pid) {
		case "mosquitto":
			pids = append(pids, pid)
		case "noctule":
			text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
			if args := strings.Split(string(text), "\x00"); len(args) > 1 && toolNames[filepath.Base(args[0])] == "" && !isCommand(args[1]) {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// commandOf is the name of a process; empty when there is none.
func commandOf(pid int) string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return strings.TrimSuffix(string(text), "\n")
}
