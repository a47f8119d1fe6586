package passwd

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/noctulemq/noctule/auth"
	"golang.org/x/sys/unix"
)

// result is what a run shows.
type result struct {
	code           int
	stdout, stderr string
	file           string // what is in FILE afterwards, without the parts of hashes that differ from run to run
}

var hashes = regexp.MustCompile(`\$7\$\d+\$[^$\n]+\$[^\n]+|\$6\$[^$\n]+\$[^\n]+|\$argon2id\$[^\n]+`)

// ran gathers what a run left behind; dir is where FILE is.
func ran(code int, stdout, stderr, dir string) result {
	data, err := os.ReadFile(filepath.Join(dir, "FILE"))
	file := hashes.ReplaceAllStringFunc(string(data), func(h string) string { return h[:strings.IndexByte(h[1:], '$')+2] })
	if err != nil {
		file = "none"
	}
	clean := func(s string) string { return strings.ReplaceAll(s, dir+"/", "") }
	return result{code: code, stdout: clean(stdout), stderr: clean(stderr), file: file}
}

// ours runs the tool in a directory of its own. FILE among the arguments is a file with the given content; "none" makes no
// file.
func ours(t *testing.T, content, stdin string, args ...string) result {
	t.Helper()
	dir := prepare(t, content)
	var out, complaints bytes.Buffer
	code := Main("passwd", within(dir, args), strings.NewReader(stdin), &out, &complaints)
	left, err := filepath.Glob(filepath.Join(dir, ".*"))
	if err != nil || len(left) > 0 {
		t.Errorf("%q leaves %v behind", args, left)
	}
	return ran(code, out.String(), complaints.String(), dir)
}

// theirs runs Debian's tool.
func theirs(t *testing.T, content, stdin string, args ...string) result {
	t.Helper()
	dir := prepare(t, content)
	cmd := exec.Command("mosquitto_passwd", within(dir, args)...)
	var out, complaints bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &complaints
	_ = cmd.Run()
	return ran(cmd.ProcessState.ExitCode(), out.String(), complaints.String(), dir)
}

func prepare(t *testing.T, content string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if content != "none" {
		if err := os.WriteFile(filepath.Join(dir, "FILE"), []byte(content), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// within puts the directory before FILE.
func within(dir string, args []string) []string {
	args = append([]string(nil), args...)
	for i := range args {
		if args[i] == "FILE" || args[i] == "nodir/FILE" {
			args[i] = filepath.Join(dir, args[i])
		}
	}
	return args
}

func TestAgreesWithMosquittoPasswd(t *testing.T) {
	if out, _ := exec.Command("mosquitto_passwd", "--help").CombinedOutput(); !strings.Contains(string(out), "sha512-pbkdf2") {
		t.Skip("install mosquitto to run this test")
	}
	long := strings.Repeat("x", 65536)
	f := func(content, stdin string, args ...string) {
		t.Helper()
		a, b := ours(t, content, stdin, args...), theirs(t, content, stdin, args...)
		if strings.Contains(b.stdout, "Usage:") && strings.Contains(a.stdout, "Usage:") {
			a.stdout = b.stdout
		}
		if a != b {
			t.Errorf("%.200q\n%+v\nmosquitto_passwd:\n%+v", args, a, b)
		}
	}
	const two = "a:$7$1$AA==$AA==\nb:$7$1$AA==$AA==\n"
	for _, args := range []string{
		"", "-h", "--help", "-x", "FILE", "-b", "-b FILE u", "-bc FILE u p", "-b FILE u p extra", "FILE u extra",
		"-c", "-c FILE", "-b -c FILE u", "-c -D FILE u", "-b -D FILE u", "-c -U FILE", "-D -U FILE", "-D FILE", "-D", "-D FILE u x",
		"-U", "-U FILE x", "-H", "-H md5 -b FILE u p", "-I", "-I 0 -b FILE u p", "-I x -b FILE u p", "-H sha512 FILE",
		"FILE u", "-b FILE u p", "-D FILE u", "-U FILE", "-c -b nodir/FILE u p", "-b nodir/FILE u p",
		"-c -b FILE u p", "-b -c FILE u p", "-b -b -c FILE u p", "-H sha512 -b -c FILE u p", "-c -b FILE u p ignored",
		"-b FILE u:x p", "-c FILE u:x", "-D FILE u:x",
	} {
		f("none", "", strings.Fields(args)...)
		if args != "-U FILE" { // which of them hashes hashes
			f(two, "", strings.Fields(args)...)
		}
	}
	f(two, "", "-b", "FILE", "b", "new")
	f(two, "", "-H", "sha512", "-b", "FILE", "b", "new")
	f(two, "", "-b", "FILE", "c", "new")
	f(two, "", "-D", "FILE", "a")
	f(two, "", "-D", "-D", "FILE", "b")
	f("a:b\nc: d \ne:f", "", "-U", "FILE")
	f("a:b\n", "", "-U", "-H", "sha512", "FILE")
	f(two, "", "-b", "FILE", long, "p")
	f(two, "", "-b", "FILE", "u", long)
	f(two, "", "-b", "FILE", "u\nx", "p")
	f(two, "", "-b", "FILE", "ü\x01", "p")
	f("none", "pw\npw\n", "-c", "FILE", "u")
	f("none", "pw\nqw\n", "-c", "FILE", "u")
	f("none", "", "-c", "FILE", "u")
	f("none", "\n\n", "-c", "FILE", "u")
	f(two, "pw\npw\n", "FILE", "u")
	f(two, "pw\npw\n", "FILE", "a")
	f(two, "pw", "FILE", "u")
	f(two, "pw\n\n", "FILE", "u")
}

// What differs from mosquitto_passwd 2.0.11, each on purpose.
func TestOwnWays(t *testing.T) {
	f := func(want result, content string, args ...string) {
		t.Helper()
		if got := ours(t, content, "", args...); got != want {
			t.Errorf("%q on %q\n%+v, want\n%+v", args, content, got, want)
		}
	}
	const hashed = "a:$7$1$AA==$AA=="
	// Comments and blank lines stay; mosquitto_passwd loses what follows them.
	f(result{file: "# c\n\nb:$7$\nd:x\n"}, "# c\n\nb:y\nd:x", "-b", "FILE", "b", "p")
	f(result{file: "# c\n"}, "# c\nb:y\n b:z\n", "-D", "FILE", "b")
	// One line for each user.
	f(result{file: "b:$7$\nd:x\n"}, "b:y\nd:x\nb:z\n", "-b", "FILE", "b", "p")
	// A line that is none refuses the file and leaves it as it is.
	corrupt := result{code: 1, stderr: "Error: Corrupt password file at line 2.\n", file: "b:y\njunk\n"}
	f(corrupt, "b:y\njunk\n", "-b", "FILE", "b", "p")
	f(corrupt, "b:y\njunk\n", "-D", "FILE", "b")
	f(corrupt, "b:y\njunk\n", "-U", "FILE")
	corrupt.file = "b:y\n:x\n"
	f(corrupt, "b:y\n:x\n", "-U", "FILE")
	corrupt.file = "b:y\nc:\n"
	f(corrupt, "b:y\nc:\n", "-U", "FILE")
	// -U leaves hashes alone, and does not take a broken one for a password.
	good := "a:" + auth.EncodePassword(auth.PBKDF2, []byte("pw"), 7)
	f(result{file: "# c\na:$7$\nb:$6$\n"}, "# c\n"+good+"\nb:y:z \n", "-U", "-H", "sha512", "FILE")
	f(result{code: 1, stderr: "Error: Corrupt password file at line 1.\n", file: "a:$7$"}, hashed, "-U", "FILE")
	f(result{}, "", "-U", "FILE")
	// Names that a file could not hold.
	f(result{code: 1, stderr: "Error: Username must not be empty.\n"}, "", "-b", "FILE", "", "p")
	blank := "Error: Username must not begin with a blank or '#': a password file could not hold it.\n"
	f(result{code: 1, stderr: blank}, "", "-b", "FILE", " u", "p")
	f(result{code: 1, stderr: blank}, "", "-b", "FILE", "#u", "p")
	f(result{code: 1, stderr: "Error: Number of iterations must be at most 5000000.\n"}, "", "-I", "5000001", "-b", "FILE", "u", "p")
	// Mosquitto 2.1's hash, and 2.1's way to standard output.
	f(result{file: "u:$argon2id$\n"}, "", "-H", "argon2id", "-b", "FILE", "u", "p")
	out := ours(t, "none", "", "-c", "-b", "-", "u", "p")
	if field, found := strings.CutPrefix(out.stdout, "u:"); !found || !auth.IsEncoded(strings.TrimSpace(field)) || out.code != 0 {
		t.Errorf("to standard output: %+v", out)
	}
}

func TestFilesAreReplacedWhole(t *testing.T) {
	dir := prepare(t, "a:x\n")
	path := filepath.Join(dir, "FILE")
	if err := os.Chmod(path, 0o604); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		if err := os.Chown(path, 1, 2); err != nil {
			t.Fatal(err)
		}
	}
	before, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer before.Close()
	old, _ := before.Stat()
	for _, args := range [][]string{{"-b", path, "u", "p"}, {"-D", path, "u"}, {"-c", "-b", path, "u", "p"}} {
		if code := Main("passwd", args, nil, io.Discard, os.Stderr); code != 0 {
			t.Fatalf("%v: exit code %d", args, code)
		}
		now, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		a, b := old.Sys().(*syscall.Stat_t), now.Sys().(*syscall.Stat_t)
		if now.Mode() != old.Mode() || a.Uid != b.Uid || a.Gid != b.Gid {
			t.Errorf("%v: mode %v owner %d:%d, was %v %d:%d", args, now.Mode(), b.Uid, b.Gid, old.Mode(), a.Uid, a.Gid)
		}
	}
	if data, err := io.ReadAll(before); err != nil || string(data) != "a:x\n" {
		t.Errorf("who had the file open reads %q, %v", data, err)
	}
	fresh := filepath.Join(dir, "fresh")
	if code := Main("passwd", []string{"-c", "-b", fresh, "u", "p"}, nil, io.Discard, os.Stderr); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	if info, _ := os.Stat(fresh); info.Mode() != 0o600 {
		t.Errorf("a new file has mode %v", info.Mode())
	}
}

// A file that is mounted by itself cannot be renamed over.
func TestFileThatCannotBeReplacedIsWrittenOver(t *testing.T) {
	dir := prepare(t, "a:x\nb:y\n")
	if err := overwrite(filepath.Join(dir, "FILE"), []byte("c:z\n")); err != nil {
		t.Fatal(err)
	}
	if data, _ := os.ReadFile(filepath.Join(dir, "FILE")); string(data) != "c:z\n" {
		t.Errorf("%q", data)
	}
}

func TestSymbolicLinksAreRefusedUnlessAllowed(t *testing.T) {
	dir := prepare(t, "a:x\n")
	link := filepath.Join(dir, "link")
	if err := os.Symlink("FILE", link); err != nil {
		t.Fatal(err)
	}
	calls := [][]string{{"-b", link, "u", "p"}, {"-D", link, "a"}, {"-U", link}, {"-c", "-b", link, "u", "p"}}
	for _, args := range calls {
		var complaints bytes.Buffer
		if code := Main("passwd", args, nil, io.Discard, &complaints); code != 1 ||
			!strings.Contains(complaints.String(), "It is a symbolic link: ") {
			t.Errorf("%v: exit code %d, %s", args, code, &complaints)
		}
	}
	t.Setenv(symlinks, "1")
	for _, args := range calls {
		if code := Main("passwd", args, nil, io.Discard, os.Stderr); code != 0 {
			t.Errorf("%v: exit code %d", args, code)
		}
	}
	if target, err := os.Readlink(link); target != "FILE" {
		t.Errorf("the link was replaced: %v", err)
	}
	if data, _ := os.ReadFile(filepath.Join(dir, "FILE")); !bytes.HasPrefix(data, []byte("u:$7$")) {
		t.Errorf("the file holds %q", data)
	}
}

func TestDirectoryIsNoPasswordFile(t *testing.T) {
	dir := t.TempDir()
	for _, args := range [][]string{{"-b", dir, "u", "p"}, {"-c", "-b", dir, "u", "p"}} {
		var complaints bytes.Buffer
		want := fmt.Sprintf("Error: Unable to open password file %s. Is a directory.\n", dir)
		if code := Main("passwd", args, nil, io.Discard, &complaints); code != 1 || complaints.String() != want {
			t.Errorf("%v: exit code %d, %s", args, code, &complaints)
		}
	}
}

func TestTerminalDoesNotEchoThePassword(t *testing.T) {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminal: %v", err)
	}
	defer master.Close()
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Skipf("no terminal: %v", err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Skipf("no terminal: %v", err)
	}
	terminal, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminal: %v", err)
	}
	defer terminal.Close()
	echo := func() bool {
		state, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
		if err != nil {
			t.Fatal(err)
		}
		return state.Lflag&unix.ECHO != 0
	}
	if !echo() {
		t.Fatal("a new terminal does not echo")
	}
	// The answer is typed when the prompt appears and the echo is off.
	prompts := writerFunc(func(p []byte) (int, error) {
		if bytes.HasSuffix(p, []byte(": ")) {
			go func() {
				for echo() {
					_ = unix.Nanosleep(&unix.Timespec{Nsec: 1e6}, nil)
				}
				_, _ = master.WriteString("secret\n")
			}()
		}
		return len(p), nil
	})
	password, err := ask(terminal, prompts)
	if err != nil || password != "secret" {
		t.Errorf("%q, %v", password, err)
	}
	if !echo() {
		t.Error("the echo stays off")
	}
	// What the terminal showed is what can be read from its other side.
	if _, err := terminal.WriteString("end"); err != nil {
		t.Fatal(err)
	}
	shown := make([]byte, 100)
	size, err := master.Read(shown)
	if err != nil || strings.Contains(string(shown[:size]), "secret") {
		t.Errorf("the terminal shows %q, %v", shown[:size], err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func FuzzSplit(f *testing.F) {
	f.Add("# c\n\nb:y\r\n b:z\nd:$7$1$AA==$AA==", "b")
	f.Add("a:\n:b\njunk", "a")
	f.Fuzz(func(t *testing.T, data, user string) {
		lines, err := split(data)
		if err != nil {
			return
		}
		var text strings.Builder
		users := 0
		for _, l := range lines {
			text.WriteString(l.text + "\n")
			if l.user == user && user != "" {
				users++
			}
		}
		if got := text.String(); got != data && got != data+"\n" {
			t.Fatalf("%q became %q", data, got)
		}
		if user == "" {
			return
		}
		changed := set(lines, line{text: user + ":new", user: user, rest: "new"})
		if want := len(lines) - max(users-1, 0); users > 0 && len(changed) != want {
			t.Fatalf("%d lines, want %d", len(changed), want)
		}
	})
}
