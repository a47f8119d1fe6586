package bench

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Scenarios in which brokers store on the disk. Subscribers have sessions that stay: they leave with a DISCONNECT and are
// gone when the broker has closed the connection, so that what it sent before and nobody acknowledged comes again and is
// no copy.

// dirHelp is the help of the flag that names the directory.
const dirHelp = "`directory` on the disk below which brokers store in durable scenarios"

// ackWindow bounds the messages of a publisher that wait for their acknowledgements; beyond it messages of a fixed rate
// are held back and counted, not sent.
const ackWindow = 1024

// makeDurable gives publisher i of a durable scenario what it needs beside its template.
func (p *publisher) makeDurable(s *scenario, i int) {
	p.sentNs = make([]int64, ackWindow)
	for k := range s.retain {
		t := newPublishTemplate(fmt.Sprintf("%s/%03d", s.topic(i), k), s.qos, s.payloadBytes)
		t.bytes[0] |= flagRetain
		p.retained = append(p.retained, t)
	}
}

// takeDurableAck takes the time of an acknowledgement. They come in the order of their messages [MQTT-4.6.0-2].
func (e *engine) takeDurableAck(j int, id uint16, now int64) error {
	p := &e.pubs[j]
	if p.acked == p.sent || id != packetID(p.acked) {
		return fmt.Errorf("publisher %d got the acknowledgement of %d, not of %d: %w", j, id, packetID(p.acked), errMalformed)
	}
	if e.recording {
		e.ackLatency.record(now - p.sentNs[p.acked%ackWindow])
	}
	e.acked++
	if e.s.away > 0 {
		e.lastNewsNs = now
	}
	return nil
}

func subscriberID(i int) string { return fmt.Sprintf("load-sub-%04d", i) }

// leave lets subscriber i disconnect. One that has not yet left since the last time only stays away.
func (e *engine) leave(i int) {
	c := e.clients[e.subBase+i]
	c.back = false
	if c.leaving || c.fd < 0 {
		return
	}
	c.out = append(c.out, packetDisconnect, 0)
	c.leaving = true
	e.markFlush(e.subBase + i)
}

// left takes note that the broker closed the connection of a client that disconnected.
func (e *engine) left(i int) error {
	c := e.clients[i]
	c.close()
	c.fd, c.leaving, c.in, c.out, c.sent = -1, false, c.in[:0], c.out[:0], 0
	if c.back {
		return e.comeBack(i - e.subBase)
	}
	return nil
}

// comeBack connects subscriber i to its session, now or as soon as it has left.
func (e *engine) comeBack(i int) error {
	c := e.clients[e.subBase+i]
	c.back = c.leaving
	if c.leaving || c.fd >= 0 {
		return nil
	}
	if err := e.dial(e.subBase+i, e.nowNs()); err != nil {
		return err
	}
	if err := unix.SetsockoptInt(c.fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return fmt.Errorf("set TCP_NODELAY: %w", err)
	}
	return nil
}

// takeReturn checks that subscriber i found its session.
func (e *engine) takeReturn(i int, p packet) error {
	if !e.s.leaves() || len(p.body) != 2 || p.body[1] != 0 {
		return fmt.Errorf("subscriber %d got a CONNACK % x: %w", i, p.body, errMalformed)
	}
	if p.body[0] != 1 {
		return fmt.Errorf("the broker has lost the session of subscriber %d", i)
	}
	return nil
}

// swap lets the half of the subscribers that is there leave, and the other half come back.
func (e *engine) swap() error {
	e.swapAtNs += int64(e.s.cycleMs) * 1e6
	for i := range e.s.subs {
		if i%2 == e.swaps%2 {
			e.leave(i)
		} else if err := e.comeBack(i); err != nil {
			return err
		}
	}
	e.swaps++
	return e.flush()
}

// leaveAll lets all subscribers leave and waits until they are gone.
func (e *engine) leaveAll() error {
	for i := range e.s.subs {
		e.leave(i)
	}
	return e.await(func() bool {
		for i := range e.s.subs {
			if e.clients[e.subBase+i].fd >= 0 {
				return false
			}
		}
		return true
	})
}

// await drives the clients until done, without publishing. It ends as well when nothing comes any more.
func (e *engine) await(done func() bool) error {
	e.lastNewsNs = e.nowNs()
	for {
		if err := e.flush(); err != nil {
			return err
		}
		if done() || e.nowNs()-e.lastNewsNs > e.patienceNs() {
			return nil
		}
		if err := e.collect(pollNs); err != nil {
			return err
		}
	}
}

// drain lets all subscribers come back and take what their sessions hold.
func (e *engine) drain(r *result, pid int, cpus [2]int) error {
	if err := e.await(func() bool { return !e.unacked() }); err != nil {
		return err
	}
	before, err := e.readUsage(pid, cpus)
	if err != nil {
		return err
	}
	first := e.counts.unique
	for i := range e.s.subs {
		if err := e.comeBack(i); err != nil {
			return err
		}
	}
	if err := e.await(func() bool { return e.counts.unique == e.expected() }); err != nil {
		return err
	}
	after, err := e.readUsage(pid, cpus)
	if err != nil {
		return err
	}
	if n := e.counts.unique - first; n > 0 && e.s.away > 0 {
		r.Drained = n
		r.DrainRate = float64(n) / (float64(after.atNs-before.atNs) / 1e9)
		r.DrainMicros = float64(after.brokerNs-before.brokerNs) / 1e3 / float64(n)
	}
	r.DrainResident, err = residentBytes(pid)
	return err
}

// fillDurable adds what a durable scenario measures in its window.
func (e *engine) fillDurable(r *result, written int64, dir string) {
	if e.s.outstanding > 0 {
		e.ackLatency.correct()
	}
	r.AckP50Ms = float64(e.ackLatency.quantile(0.50)) / 1e6
	r.AckP99Ms = float64(e.ackLatency.quantile(0.99)) / 1e6
	r.AckP999Ms = float64(e.ackLatency.quantile(0.999)) / 1e6
	r.AckMaxMs = float64(e.ackLatency.quantile(1)) / 1e6
	r.WrittenBytes, r.DiskBytes = written, diskBytes(dir)
}

// writtenBytes is what a process caused to be written to block devices; 0 where the kernel does not say.
func writtenBytes(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	if err != nil {
		return 0
	}
	return procNumber(text, "write_bytes:")
}

// procNumber is the number behind a name at the beginning of a line of /proc; 0 if there is none.
func procNumber(text []byte, name string) int64 {
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) >= 2 && fields[0] == name {
			n, err := strconv.ParseInt(fields[1], 10, 64)
			if err != nil {
				return 0
			}
			return n
		}
	}
	return 0
}

// diskBytes is what the files below a directory take up on the disk. Files that go meanwhile are not counted.
func diskBytes(dir string) (sum int64) {
	_ = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		if info, err := entry.Info(); err == nil && info.Mode().IsRegular() {
			if stat, ok := info.Sys().(*syscall.Stat_t); ok {
				sum += int64(stat.Blocks) * 512
			}
		}
		return nil
	})
	return sum
}

// fileSystem names the kind of file system that a directory is on.
func fileSystem(dir string) string {
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil {
		return "unknown"
	}
	names := map[uint32]string{unix.EXT4_SUPER_MAGIC: "ext4", unix.XFS_SUPER_MAGIC: "xfs", unix.BTRFS_SUPER_MAGIC: "btrfs",
		unix.F2FS_SUPER_MAGIC: "f2fs", unix.OVERLAYFS_SUPER_MAGIC: "overlay", unix.TMPFS_MAGIC: "tmpfs, which is no disk",
		unix.NFS_SUPER_MAGIC: "nfs", 0x2fc12fc1: "zfs"}
	if name := names[uint32(stat.Type)]; name != "" {
		return name
	}
	return fmt.Sprintf("type 0x%x", uint32(stat.Type))
}
