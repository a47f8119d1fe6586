package bench

import (
	"fmt"
	"time"
)

const (
	// idleSettle lets a broker finish what connecting started (a collector's cycle, say) before its memory is read.
	idleSettle = 2 * time.Second
	// idleWatch is how long the silent broker's CPU is watched afterwards.
	idleWatch = time.Second
)

// measureIdle opens connections with one subscription each and reads what they cost in the broker's resident memory.
// Kernel memory for the sockets is not in it.
func measureIdle(r *result, s scenario, b *broker) error {
	pid := b.cmd.Process.Pid
	clients := make([]*client, 0, s.idle)
	defer func() {
		for _, c := range clients {
			c.close()
		}
	}()
	time.Sleep(idleWatch)
	before, err := residentBytes(pid)
	if err != nil {
		return err
	}
	cpuBefore, err := processCPUNs(pid)
	if err != nil {
		return err
	}
	for i := range s.idle {
		c, err := dialWrapped(b.wrap, b.port, fmt.Sprintf("load-idle-%05d", i), fmt.Sprintf("bench/idle/%05d/state", i), 0)
		if err != nil {
			return fmt.Errorf("connection %d of %d: %w", i+1, s.idle, err)
		}
		clients = append(clients, c)
	}
	cpuConnected, err := processCPUNs(pid)
	if err != nil {
		return err
	}
	time.Sleep(idleSettle)
	after, err := residentBytes(pid)
	if err != nil {
		return err
	}
	cpuSilent, err := processCPUNs(pid)
	if err != nil {
		return err
	}
	time.Sleep(idleWatch)
	cpuEnd, err := processCPUNs(pid)
	if err != nil {
		return err
	}
	n := float64(len(clients))
	r.Connections, r.ResidentBefore, r.ResidentAfter = len(clients), before, after
	r.ResidentBytes = after
	r.BytesPerConn = float64(after-before) / n
	r.ConnectMicros = float64(cpuConnected-cpuBefore) / 1e3 / n
	r.IdleCPUPermille = float64(cpuEnd-cpuSilent) / float64(idleWatch) * 1e3
	return nil
}
