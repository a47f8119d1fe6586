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
	"testing"

	"github.com/noctulemq/noctule/config"
)

// completions is where the scripts are that `noctule completion` prints.
const completions = "../../scripts/completion"

// TestCompletionScripts holds the scripts of the repository. To write them anew:
// for s in bash fish zsh; do noctule completion $s >scripts/completion/noctule.$s; done
func TestCompletionScripts(t *testing.T) {
	for shell := range shells {
		status, out, errs := result(t, "completion", shell)
		if status != exitOK || errs != "" {
			t.Errorf("%s: status %d, stderr %q", shell, status, errs)
		}
		want, err := os.ReadFile(filepath.Join(completions, "noctule."+shell))
		if err != nil || out != string(want) {
			t.Errorf("%s: the script in %s is another one (%v)", shell, completions, err)
		}
	}
	if status, _, errs := result(t, "completion", "tcsh"); status != exitConfig || !strings.HasPrefix(errs, "Error: invalid argument") {
		t.Errorf("tcsh: status %d, stderr %q", status, errs)
	}
}

func TestCompletionOffersCommandsFlagsAndWords(t *testing.T) {
	f := func(want string, args ...string) {
		t.Helper()
		status, out, _ := result(t, append([]string{"__complete"}, args...)...)
		if status != exitOK || !slices.ContainsFunc(strings.Split(out, "\n"), func(line string) bool {
			return strings.Split(line, "\t")[0] == want
		}) {
			t.Errorf("%q: status %d, %q is not among\n%s", args, status, want, out)
		}
	}
	f("passwd", "p")
	f("config", "")
	f("--test-config", "--t")
	f("check", "config", "")
	f("max_qos", "config", "explain", "max_q")
	f("log-rotate", "signal", "log")
	f("pi", "tune", "p")
	f("fish", "completion", "")
}

func TestVersionAndConfigCommands(t *testing.T) {
	if status, out, _ := result(t, "version"); status != exitOK || out != "noctule version "+version+"\n" {
		t.Errorf("version: status %d, %q", status, out)
	}
	path := writeConfig(t, "listener 1883", "allow_anonymous true")
	if status, out, errs := result(t, "config", "check", path); status != exitOK || !strings.HasSuffix(out, path+": no errors.\n") {
		t.Errorf("check: status %d, %q, %q", status, out, errs)
	}
	path = writeConfig(t, "listner 1883", "max_qos 7")
	status, _, errs := result(t, "config", "check", path)
	if status != exitConfig || !strings.Contains(errs, path+":1") || !strings.Contains(errs, path+":2") {
		t.Errorf("check: status %d, %q", status, errs)
	}
	if again, _, same := result(t, "config", "check", "-c", path); again != status || same != errs {
		t.Errorf("check -c: status %d, %q", again, same)
	}
	for _, args := range [][]string{{}, {"-c", path, path}} {
		if status, _, errs := result(t, append([]string{"config", "check"}, args...)...); status != exitConfig || !strings.HasPrefix(errs, "Error: name one configuration file") {
			t.Errorf("check %q: status %d, %q", args, status, errs)
		}
	}
	t.Setenv("NOCTULE_MAX_KEEPALIVE", "long")
	status, _, errs = result(t, "config", "check", writeConfig(t, "listener 1883", "allow_anonymous true"))
	if status != exitConfig || !strings.Contains(errs, "environment variable NOCTULE_MAX_KEEPALIVE") {
		t.Errorf("check with a wrong variable: status %d, %q", status, errs)
	}
}

func TestExplain(t *testing.T) {
	path := writeConfig(t, "# comment", "max_queued_messages 7", "listener 1883", "allow_anonymous true")
	f := func(status int, want string, args ...string) {
		t.Helper()
		got, out, errs := result(t, append([]string{"config", "explain"}, args...)...)
		if fields := strings.Join(strings.Fields(out+errs), " "); got != status || !strings.Contains(fields, want) {
			t.Errorf("%q: status %d, %q; want %d, %q", args, got, fields, status, want)
		}
	}
	f(exitOK, "max_queued_messages 7 from: "+path+":2", "-c", path, "max_queued_messages")
	f(exitOK, "max_queued_messages 1000 from: default", "max_queued_messages")
	f(exitOK, "max_queued_messages 7 "+path+":2 honoured", "-c", path)
	f(exitConfig, "did you mean 'max_queued_messages'?", "max_queued_message")
	f(exitConfig, "Error: Unable to open config file", "-c", path+".missing")
}

// TestEnvironmentAndFlags: a variable overrides the file, a flag overrides both.
func TestEnvironmentAndFlags(t *testing.T) {
	path := writeConfig(t, "max_queued_messages 7", "log_type error")
	cmd := command(t, "config", "explain", "-c", path, "max_queued_messages")
	cmd.Env = append(cmd.Env, "NOCTULE_MAX_QUEUED_MESSAGES=8")
	out, err := cmd.Output()
	if err != nil || !strings.Contains(string(out), "NOCTULE_MAX_QUEUED_MESSAGES") || !strings.Contains(string(out), " 8\n") {
		t.Errorf("%v: %s", err, out)
	}
	cfg, err := loadConfig(&flags{configFile: path, verbose: true})
	if err != nil {
		t.Fatal(err)
	}
	if all, err := config.Explain(cfg, "log_type"); err != nil || len(all) != 1 || !strings.Contains(all[0].Value, "debug") || all[0].From.Flag != "-v" {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestSignalCommandLine(t *testing.T) {
	f := func(want int, message string, args ...string) {
		t.Helper()
		var errs strings.Builder
		if got := signalMain("noctule signal", args, io.Discard, &errs); got != want || !strings.Contains(errs.String(), message) {
			t.Errorf("%q: status %d, %q; want %d, %q", args, got, errs.String(), want, message)
		}
	}
	f(exitOK, "", "--help")
	f(exitSetup, "a signal and either -a or -p are needed.")
	f(exitSetup, "a signal and either -a or -p are needed.", "shutdown")
	f(exitSetup, "a signal and either -a or -p are needed.", "-a", "-p", "1", "shutdown")
	f(exitSetup, "no process id specified", "-p")
	f(exitSetup, "Invalid process id specified (x).", "-p", "x", "shutdown")
	f(exitSetup, "Invalid process id specified (-1).", "-p", "-1", "shutdown")
	f(exitSetup, "Unknown signal 'stop'.", "-p", "1", "stop")
	f(exitSetup, "no answer to the signal 'xtreport'", "-p", "1", "xtreport")
	f(exitSetup, "signal process 2147483647: no such process.", "-p", "2147483647", "log-rotate")
}

// TestSignalFindsBrokers runs the command as a program of our name, finds it among the processes, and signals it by its
// process id, called as Mosquitto's tool.
func TestSignalFindsBrokers(t *testing.T) {
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "noctule")
	if err := os.WriteFile(program, self, 0o700); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(t.TempDir(), "log")
	cmd := command(t, "-c", writeConfig(t, fmt.Sprintf("listener %d 127.0.0.1", freePort(t)), "log_dest file "+log, staysRoot))
	cmd.Path, cmd.Args[0] = program, program
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	await(t, "running", fileHas(log, "running"))
	pid := cmd.Process.Pid
	if !slices.Contains(brokerPIDs(), pid) {
		t.Errorf("process %d is not among the brokers", pid)
	}
	if got := forProcess(pid, signalRotate); got != signalRotate {
		t.Errorf("log-rotate is sent as %d", got)
	}
	for _, name := range []string{"config-reload", "shutdown"} {
		tool := command(t, "-p", strconv.Itoa(pid), name)
		tool.Env = append(tool.Env, commandVariable+"=/usr/bin/mosquitto_signal")
		if out, err := tool.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		if name == "config-reload" {
			await(t, "the reload", fileHas(log, "Reloading config."))
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// TestLogRotateSparesOldMosquitto: SIGRTMIN would end it.
func TestLogRotateSparesOldMosquitto(t *testing.T) {
	sleep, err := os.ReadFile("/bin/sleep")
	if err != nil {
		t.Skip(err)
	}
	program := filepath.Join(t.TempDir(), "mosquitto")
	if err := os.WriteFile(program, sleep, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := command(t)
	cmd.Path, cmd.Args = program, []string{program, "60"}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	await(t, "the program", func() bool { return commandOf(cmd.Process.Pid) == "mosquitto" })
	if got := forProcess(cmd.Process.Pid, signalRotate); got != syscall.SIGHUP {
		t.Errorf("log-rotate is sent as %d", got)
	}
	if !slices.Contains(brokerPIDs(), cmd.Process.Pid) {
		t.Error("it is not among the brokers")
	}
}

func TestPasswordToolByEachOfItsNames(t *testing.T) {
	f := func(name string, args ...string) {
		t.Helper()
		file := filepath.Join(t.TempDir(), "passwords")
		tool := command(t, append(args, "-b", "-c", file, "user", "secret")...)
		tool.Env = append(tool.Env, commandVariable+"="+name)
		if out, err := tool.CombinedOutput(); err != nil || !fileHas(file, "user:$7$")() {
			t.Errorf("%s %q: %v\n%s", name, args, err, out)
		}
	}
	f("/usr/bin/mosquitto_passwd")
	f("noctule", "passwd")
}
