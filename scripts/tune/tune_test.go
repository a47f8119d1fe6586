package tune

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// stock is what a small stock machine has: the kernel's defaults, and enough memory for every profile.
var stock = map[string]string{
	"proc/sys/fs/nr_open":                        "1048576\n",
	"proc/sys/fs/file-max":                       "9223372036854775807\n",
	"proc/sys/fs/file-nr":                        "1024\t0\t9223372036854775807\n",
	"proc/sys/fs/epoll/max_user_watches":         "100000\n",
	"proc/sys/net/core/somaxconn":                "128\n",
	"proc/sys/net/ipv4/tcp_syncookies":           "1\n",
	"proc/sys/net/ipv4/tcp_max_syn_backlog":      "512\n",
	"proc/sys/net/ipv4/ip_local_port_range":      "32768\t60999\n",
	"proc/sys/net/ipv4/tcp_mem":                  "190000\t260000\t380000\n",
	"proc/sys/net/ipv4/tcp_rmem":                 "4096\t131072\t6291456\n",
	"proc/sys/net/ipv4/tcp_wmem":                 "4096\t16384\t4194304\n",
	"proc/self/limits":                           "Limit                     Soft Limit           Hard Limit           Units     \nMax open files            1024                 4096                 files     \n",
	"proc/meminfo":                               "MemTotal:       16384000 kB\nMemFree:         1000000 kB\nMemAvailable:   15000000 kB\n",
	"proc/net/sockstat":                          "sockets: used 100\nTCP: inuse 10 orphan 0 tw 0 alloc 12 mem 3\n",
	"proc/cpuinfo":                               "processor\t: 0\nprocessor\t: 1\n",
	"sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never\n",
}

// machine is a root directory of its own, with stand-ins in front of the commands that would reach the real machine.
type machine struct {
	t    *testing.T
	root string
	bin  string
	uid  string // what id prints
}

func newMachine(t *testing.T, changed map[string]string) *machine {
	t.Helper()
	m := &machine{t: t, root: t.TempDir(), bin: t.TempDir(), uid: "0"}
	all := maps.Clone(stock)
	maps.Copy(all, changed)
	for name, content := range all {
		m.write(name, content)
	}
	for name, script := range map[string]string{
		"id":        "#!/bin/sh\necho $TUNE_TEST_UID\n",
		"sysctl":    "#!/bin/sh\necho the real sysctl was called >&2\nexit 9\n",
		"systemctl": "#!/bin/sh\necho the real systemctl was called >&2\nexit 9\n",
	} {
		if err := os.WriteFile(filepath.Join(m.bin, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func (m *machine) write(name, content string) {
	m.t.Helper()
	path := filepath.Join(m.root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		m.t.Fatal(err)
	}
}

// env is the environment of a script; the root is never empty, so nothing of the real machine is written.
func (m *machine) env() []string {
	return append(os.Environ(), "NOCTULE_TUNE_ROOT="+m.root, "PATH="+m.bin+":"+os.Getenv("PATH"), "TUNE_TEST_UID="+m.uid)
}

// run runs a script and returns what it printed, if its exit status is the wanted one.
func (m *machine) run(status int, script string, args ...string) string {
	m.t.Helper()
	cmd := exec.Command("/bin/sh", append([]string{"./" + script}, args...)...)
	cmd.Env = m.env()
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		m.t.Fatal(err)
	}
	if got := cmd.ProcessState.ExitCode(); got != status {
		m.t.Fatalf("%s %v: exit status %d, want %d:\n%s", script, args, got, status, out)
	}
	return string(out)
}

// tree is every file under the root with its content.
func (m *machine) tree() map[string]string {
	m.t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(m.root, func(path string, d fs.DirEntry, err error) error {
		name := strings.TrimPrefix(path, m.root)
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		all[name] = string(content)
		return err
	})
	if err != nil {
		m.t.Fatal(err)
	}
	return all
}

func (m *machine) same(when string, want map[string]string) {
	m.t.Helper()
	got := m.tree()
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if old, ok := want[name]; !ok {
			m.t.Errorf("%s: %s is new", when, name)
		} else if got[name] != old {
			m.t.Errorf("%s: %s is %q, want %q", when, name, got[name], old)
		}
	}
	for name := range want {
		if _, ok := got[name]; !ok {
			m.t.Errorf("%s: %s is gone", when, name)
		}
	}
}

func (m *machine) holds(name, want string) {
	m.t.Helper()
	got, err := os.ReadFile(filepath.Join(m.root, name))
	if err != nil {
		m.t.Error(err)
	} else if !strings.Contains(string(got), want) {
		m.t.Errorf("%s does not hold %q:\n%s", name, want, got)
	}
}

func contains(t *testing.T, out string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(out, want) {
			t.Errorf("the output lacks %q:\n%s", want, out)
		}
	}
}

// verdict is the first words of the line of key in the comparison with a profile.
func verdict(t *testing.T, out, key string) string {
	t.Helper()
	_, comparison, _ := strings.Cut(out, "\nProfile ")
	for line := range strings.Lines(comparison) {
		if word, rest, ok := strings.Cut(line, " "+key+" "); ok && strings.Contains(rest, "wanted") {
			return strings.TrimSpace(word)
		}
	}
	t.Fatalf("no verdict on %s:\n%s", key, out)
	return ""
}

const (
	sysctlConf = "etc/sysctl.d/90-noctule.conf"
	limitsConf = "etc/security/limits.d/90-noctule.conf"
	dropinConf = "etc/systemd/system/noctule.service.d/limits.conf"
)

var profiles = []string{"pi", "gateway", "server-100k", "server-1m"}

func TestDryRunChangesNothing(t *testing.T) {
	t.Parallel()
	m := newMachine(t, nil)
	before := m.tree()
	m.uid = "1000"
	for _, p := range profiles {
		out := m.run(0, "apply", p)
		contains(t, out, sysctlConf, limitsConf, dropinConf, "net.core.somaxconn = 4096", "sysctl --load=", "Nothing was changed")
		m.run(1, "check", p)
	}
	m.run(0, "revert")
	m.same("after dry runs", before)
	m.uid = "0"
	m.run(0, "apply", "--yes", "server-1m")
	applied := m.tree()
	contains(t, m.run(0, "revert"), "net.core.somaxconn=128", "rm -f", "Nothing was changed")
	m.same("after a dry revert", applied)
}

func TestApplyThenRevertRestoresEverything(t *testing.T) {
	t.Parallel()
	for _, p := range profiles {
		t.Run(p, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t, map[string]string{"proc/sys/net/netfilter/nf_conntrack_max": "1000\n"})
			before := m.tree()
			m.run(0, "apply", "--yes", p)
			m.holds("proc/sys/net/core/somaxconn", "4096\n")
			m.holds(sysctlConf, "\nnet.core.somaxconn = 4096\n")
			m.holds(limitsConf, "\n* hard nofile ")
			m.holds(dropinConf, "\n[Service]\nLimitNOFILE=")
			once := m.tree()
			m.run(0, "apply", "--yes", p)
			m.same("applied twice", once)
			m.run(0, "revert", "--yes")
			m.same("reverted", before)
			contains(t, m.run(0, "revert", "--yes"), "Nothing to revert")
		})
	}
}

func TestApplyNeverLowersWhatIsEnough(t *testing.T) {
	t.Parallel()
	m := newMachine(t, map[string]string{"proc/sys/net/core/somaxconn": "65535\n"})
	m.run(0, "apply", "--yes", "server-1m")
	m.holds("proc/sys/net/core/somaxconn", "65535\n")
	m.holds("proc/sys/fs/file-max", "9223372036854775807\n")
	m.holds(sysctlConf, "# net.core.somaxconn stays 65535")
	m.holds("proc/sys/net/ipv4/tcp_wmem", "4096 16384 262144\n")
}

func TestSecondProfileReplacesTheFirst(t *testing.T) {
	t.Parallel()
	m := newMachine(t, nil)
	before := m.tree()
	m.run(0, "apply", "--yes", "pi")
	alone := m.tree()
	m.run(0, "apply", "--yes", "server-1m")
	m.holds("proc/sys/fs/nr_open", "2097152\n")
	contains(t, m.run(0, "apply", "pi"), "fs.nr_open=1048576", "net.ipv4.tcp_wmem=4096\t16384\t4194304")
	m.run(0, "apply", "--yes", "pi")
	got := m.tree()
	delete(got, "/var/lib/noctule-tune/before") // it names more keys after the larger profile
	delete(alone, "/var/lib/noctule-tune/before")
	if !maps.Equal(got, alone) {
		t.Errorf("pi behind server-1m left %v, want %v", got, alone)
	}
	m.run(0, "revert", "--yes")
	m.same("reverted", before)
}

func TestRevertBringsBackFilesThatWereThere(t *testing.T) {
	t.Parallel()
	m := newMachine(t, map[string]string{limitsConf: "* hard nofile 5000\n", "etc/systemd/system/noctule.service.d/other.conf": "[Service]\n"})
	before := m.tree()
	m.run(0, "apply", "--yes", "gateway")
	m.run(0, "revert", "--yes")
	m.same("reverted", before)
}

func TestRefusedWithoutRoot(t *testing.T) {
	t.Parallel()
	m := newMachine(t, nil)
	before := m.tree()
	m.uid = "1000"
	contains(t, m.run(1, "apply", "--yes", "pi"), "run it as root")
	contains(t, m.run(1, "revert", "--yes"), "run it as root")
	m.same("after refusals", before)
}

func TestRefusedWithTooLittleMemory(t *testing.T) {
	t.Parallel()
	m := newMachine(t, map[string]string{"proc/meminfo": "MemTotal: 512000 kB\nMemAvailable: 400000 kB\n"})
	before := m.tree()
	contains(t, m.run(1, "apply", "--yes", "server-1m"), "this machine has 500")
	m.same("after the refusal", before)
}

func TestMissingKeyIsLeftOut(t *testing.T) {
	t.Parallel()
	m := newMachine(t, nil)
	before := m.tree()
	m.run(0, "apply", "--yes", "server-1m")
	m.holds(sysctlConf, "# net.netfilter.nf_conntrack_max: not in this kernel now")
	m.run(0, "revert", "--yes")
	m.same("reverted", before)
}

// TestLimitsStayUnwrittenIfAValueIsRefused has a value that can be read and not written, a sealed file in memory: a
// limit above fs.nr_open would lock everyone out, so there must be none until every value stands.
func TestLimitsStayUnwrittenIfAValueIsRefused(t *testing.T) {
	t.Parallel()
	m := newMachine(t, nil)
	fd, err := unix.MemfdCreate("somaxconn", unix.MFD_ALLOW_SEALING)
	if err != nil {
		t.Skip("no memfd:", err)
	}
	sealed := os.NewFile(uintptr(fd), "somaxconn")
	defer sealed.Close()
	if _, err := sealed.WriteString("128\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.FcntlInt(sealed.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_WRITE|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW); err != nil {
		t.Skip("no seals:", err)
	}
	path := filepath.Join(m.root, "proc/sys/net/core/somaxconn")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), fd), path); err != nil {
		t.Fatal(err)
	}
	before := m.tree()
	contains(t, m.run(1, "apply", "--yes", "server-1m"), "the limits were not written", "revert --yes")
	for _, name := range []string{limitsConf, dropinConf} {
		if _, err := os.Stat(filepath.Join(m.root, name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s was written: %v", name, err)
		}
	}
	m.run(0, "revert", "--yes")
	m.same("reverted", before)
}

func TestUnknownProfileNamesTheProfiles(t *testing.T) {
	t.Parallel()
	m := newMachine(t, nil)
	for _, script := range []string{"check", "apply"} {
		for _, name := range []string{"server", "../check", "profiles/pi"} {
			contains(t, m.run(2, script, name), append([]string{`no profile "` + name + `"`}, profiles...)...)
		}
	}
	contains(t, m.run(2, "apply"), profiles...)
}

func TestCheckTellsLowFromGood(t *testing.T) {
	t.Parallel()
	m := newMachine(t, nil)
	out := m.run(1, "check", "server-100k")
	f := func(key, want string) {
		t.Helper()
		if got := verdict(t, out, key); got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
	f("net.core.somaxconn", "too low")
	f("nofile", "too low")
	f("connections", "too low")
	f("net.ipv4.tcp_wmem", "too high")
	f("fs.file-max", "ok")
	f("fs.nr_open", "ok")
	f("memory", "ok")
	f("net.netfilter.nf_conntrack_max", "not there")
	contains(t, out, "carries about 3840 idle connections; the bound is: descriptors of the broker")

	m.run(0, "apply", "--yes", "server-100k")
	out = m.run(0, "check", "server-100k")
	f("net.core.somaxconn", "ok")
	f("nofile", "ok")
	f("connections", "ok")
	f("net.ipv4.tcp_wmem", "ok")
	contains(t, out, "Everything serves profile server-100k")
}

func TestCheckTakesKernelMemoryFromSlabinfo(t *testing.T) {
	t.Parallel()
	m := newMachine(t, map[string]string{
		"proc/slabinfo": "slabinfo - version: 2.1\nTCP 30004 30004 4000 8 8 : tunables 0 0 0 : slabdata 1 1 0\n",
	})
	out := m.run(0, "check")
	contains(t, out, "/proc/slabinfo, cache TCP")
	if strings.Contains(out, "2520") && os.Getpagesize() == 4096 {
		t.Errorf("the default stands in spite of slabinfo:\n%s", out)
	}
}

func TestProfilesParseWhole(t *testing.T) {
	t.Parallel()
	for _, p := range profiles {
		content, err := files.ReadFile("profiles/" + p)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(content)) {
			line = strings.TrimSuffix(line, "\n")
			if line == "" || line[0] == '#' {
				continue
			}
			key, rest, ok := strings.Cut(line, " = ")
			value, reason, ok2 := strings.Cut(rest, "  # ")
			if !ok || !ok2 || key == "" || value == "" || reason == "" || strings.Contains(line, "|") {
				t.Errorf("%s: not key = value  # reason: %q", p, line)
			}
		}
	}
	entries, err := files.ReadDir("profiles")
	if err != nil || len(entries) != len(profiles) {
		t.Errorf("%d profiles are carried, want %d: %v", len(entries), len(profiles), err)
	}
}

// TestMainRunsTheCarriedScript is `noctule tune` without the source beside it.
func TestMainRunsTheCarriedScript(t *testing.T) {
	m := newMachine(t, nil)
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	t.Setenv("NOCTULE_TUNE_ROOT", m.root)
	f := func(want int, args ...string) {
		t.Helper()
		out, err := os.Create(filepath.Join(t.TempDir(), "out"))
		if err != nil {
			t.Fatal(err)
		}
		defer out.Close()
		stdout, stderr := os.Stdout, os.Stderr
		os.Stdout, os.Stderr = out, out
		got := Main(args)
		os.Stdout, os.Stderr = stdout, stderr
		if got != want {
			t.Errorf("tune %v: exit status %d, want %d", args, got, want)
		}
	}
	f(0)
	f(0, "--help")
	f(1, "pi")
	f(2, "nothing")
	if left, _ := os.ReadDir(temp); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}
