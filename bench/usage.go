package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// userHz is the unit of /proc/stat on every Linux architecture.
const userHz = 100

// processCPUNs is the CPU time that all threads of a process used, by the kernel's scheduler, in nanoseconds.
func processCPUNs(pid int) (int64, error) {
	// The clock id of another process is its inverted pid with CPUCLOCK_SCHED (2) below; see clock_getcpuclockid(3).
	id := int32(^uint32(pid)<<3 | 2)
	var ts unix.Timespec
	if err := unix.ClockGettime(id, &ts); err != nil {
		return 0, fmt.Errorf("read the CPU clock of process %d: %w", pid, err)
	}
	return ts.Nano(), nil
}

// residentBytes is the resident memory of a process.
func residentBytes(pid int) (int64, error) {
	path := fmt.Sprintf("/proc/%d/smaps_rollup", pid)
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, fmt.Errorf("read the memory of process %d: %w", pid, err)
	}
	n, err := parseRss(text)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	return n, nil
}

func parseRss(smaps []byte) (int64, error) {
	for line := range bytes.Lines(smaps) {
		fields := strings.Fields(string(line))
		if len(fields) == 3 && fields[0] == "Rss:" && fields[2] == "kB" {
			kib, err := strconv.ParseInt(fields[1], 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("no Rss line")
}

// cpuBusyNs is the time that a CPU was not idle since boot, and the time stolen by the host. It is exact to 10 ms.
func cpuBusyNs(cpu int) (int64, error) {
	f, err := os.Open("/proc/stat")
	if err != nil {
		return 0, err
	}
	defer f.Close()
	want := "cpu" + strconv.Itoa(cpu)
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if fields := strings.Fields(lines.Text()); len(fields) > 8 && fields[0] == want {
			return parseBusyNs(fields)
		}
	}
	return 0, fmt.Errorf("/proc/stat has no line %s", want)
}

// parseBusyNs adds up the columns of one line: user nice system (idle iowait) irq softirq steal. Guest time, which comes
// after, is part of user already.
func parseBusyNs(fields []string) (int64, error) {
	var ticks int64
	for _, i := range []int{1, 2, 3, 6, 7, 8} {
		n, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/stat: %w", err)
		}
		ticks += n
	}
	return ticks * (1e9 / userHz), nil
}

// usage is what the two sides of a run have used up to one moment.
type usage struct {
	atNs     int64 // the run's clock
	brokerNs int64
	selfNs   int64
	busyNs   [2]int64 // of the broker's and the generator's CPU
}

func (e *engine) readUsage(pid int, cpus [2]int) (usage, error) {
	var u usage
	var err error
	for i, cpu := range cpus {
		if cpu < 0 {
			continue
		}
		if u.busyNs[i], err = cpuBusyNs(cpu); err != nil {
			return u, err
		}
	}
	if u.selfNs, err = processCPUNs(os.Getpid()); err != nil {
		return u, err
	}
	// The broker's clock and the run's clock come last and together: what is read between them is not the broker's work.
	u.brokerNs, err = processCPUNs(pid)
	u.atNs = e.nowNs()
	return u, err
}
