package bench

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// result is one run of one scenario against one broker, as the JSON file holds it.
type result struct {
	Scenario  string  `json:"scenario"`
	Broker    string  `json:"broker"`
	Rep       int     `json:"rep"`
	NoDelay   bool    `json:"tcp_nodelay"`
	Error     string  `json:"error,omitempty"`
	Skipped   string  `json:"skipped,omitempty"` // why the broker did not run it
	Seconds   float64 `json:"seconds"`           // length of the measured window
	Delivered uint64  `json:"delivered"`         // messages delivered in it, copies not counted; with away: acknowledged; or connections made
	CPUMicros float64 `json:"cpu_us_per_message"`
	Rate      float64 `json:"messages_per_second"`

	// Of the whole run, warm-up and the rest after the window included.
	Lost        uint64 `json:"lost"`
	Duplicates  uint64 `json:"duplicates"`
	OrderBreaks uint64 `json:"order_breaks"`
	Corrupt     uint64 `json:"corrupt"`

	// Of the window. Latency counts from the time a message was due; at full speed, where nothing is due at a time, it is
	// corrected for stalls (see histogram.correct). For connections it is the time until they stand.
	Late     uint64  `json:"late"`
	HeldBack uint64  `json:"held_back"`
	P50Ms    float64 `json:"latency_p50_ms"`
	P99Ms    float64 `json:"latency_p99_ms"`
	P999Ms   float64 `json:"latency_p999_ms"`
	MaxMs    float64 `json:"latency_max_ms"`

	// With durable. An acknowledgement counts from the time its message was due or sent, corrected like any latency.
	Durable      string  `json:"durable,omitempty"`     // the commit policy
	FileSystem   string  `json:"file_system,omitempty"` // where brokers store
	AckP50Ms     float64 `json:"ack_p50_ms,omitempty"`
	AckP99Ms     float64 `json:"ack_p99_ms,omitempty"`
	AckP999Ms    float64 `json:"ack_p999_ms,omitempty"`
	AckMaxMs     float64 `json:"ack_max_ms,omitempty"`
	WrittenBytes int64   `json:"written_bytes,omitempty"` // what the broker wrote to block devices in the window
	DiskBytes    int64   `json:"disk_bytes,omitempty"`    // that its directory takes up at the end of the window
	// With away: what the subscribers got when they were back.
	Drained       uint64  `json:"drained,omitempty"`
	DrainRate     float64 `json:"drained_per_second,omitempty"`
	DrainMicros   float64 `json:"drain_cpu_us_per_message,omitempty"`
	DrainResident int64   `json:"drain_resident_bytes,omitempty"` // at its end

	ResidentBytes int64 `json:"resident_bytes"` // of the broker at the end of the window
	// RetainedMs is the time from the SUBSCRIBEs until the last stored message came; 0 if some never did.
	RetainedMs float64 `json:"retained_ms,omitempty"`

	// Shares of one CPU. Others is what neither the broker nor the generator used of its CPU: a run with much of it was disturbed.
	BrokerCPU       float64 `json:"broker_cpu"`
	GeneratorCPU    float64 `json:"generator_cpu"`
	BrokerOthers    float64 `json:"broker_cpu_others"`
	GeneratorOthers float64 `json:"generator_cpu_others"`

	// Of the idle scenario.
	Connections     int     `json:"connections,omitempty"`
	BytesPerConn    float64 `json:"resident_bytes_per_connection,omitempty"`
	ConnectMicros   float64 `json:"cpu_us_per_connect_and_subscribe,omitempty"`
	ResidentBefore  int64   `json:"resident_bytes_before,omitempty"`
	ResidentAfter   int64   `json:"resident_bytes_after,omitempty"`
	IdleCPUPermille float64 `json:"idle_cpu_permille,omitempty"`
}

// measureOptions are the settings that every run shares.
type measureOptions struct {
	warmup, window time.Duration
	tick           time.Duration
	cpus           [2]int // the broker's and the generator's; -1: not bound
	confExtra      string
	dir            string // where brokers store in durable scenarios
}

// measure runs one scenario against one broker. A run that fails keeps the counts it has, with the reason in Error.
func measure(s scenario, spec brokerSpec, rep int, o measureOptions) result {
	r := result{Scenario: s.name, Broker: spec.name, Rep: rep, NoDelay: s.nodelay}
	if r.Skipped = spec.lacks(s); r.Skipped != "" {
		return r
	}
	start := brokerStart{cpu: o.cpus[0], nodelay: s.nodelay, transport: s.transport, lines: transportLines(s.transport, o.confExtra)}
	if s.durable != "" {
		start.under, start.lines = o.dir, spec.durableLines(s.durable, true)+o.confExtra
		r.Durable, r.FileSystem = s.durable, fileSystem(o.dir)
	}
	b, err := startBroker(spec, start)
	if err != nil {
		r.Error = err.Error()
		return r
	}
	if s.idle > 0 {
		err = measureIdle(&r, s, b)
	} else {
		err = measureTraffic(&r, s, b, o)
	}
	if err != nil {
		err = fmt.Errorf("%w%s", err, b.logTail())
	}
	if err := errors.Join(err, b.stop()); err != nil {
		r.Error = err.Error()
	}
	return r
}

func measureTraffic(r *result, s scenario, b *broker, o measureOptions) error {
	e, err := newEngine(s, b.port, b.wrap, o.tick)
	if err != nil {
		return err
	}
	defer e.close()
	o.window = max(o.window, time.Duration(s.seconds)*time.Second)
	err = e.window(r, b, o)
	if err == nil && s.leaves() {
		err = e.drain(r, b.cmd.Process.Pid, o.cpus)
	}
	if err == nil {
		err = e.settle()
	}
	r.Lost = e.expected() - e.counts.unique
	if e.restart != nil && e.restart.doneNs > 0 {
		r.RetainedMs = float64(e.restart.doneNs-e.restart.askedNs) / 1e6
	}
	r.Duplicates, r.OrderBreaks, r.Corrupt = e.counts.duplicates, e.counts.orderBreaks, e.corrupt
	return err
}

// window runs the warm-up and the measured time.
func (e *engine) window(r *result, b *broker, o measureOptions) error {
	pid := b.cmd.Process.Pid
	if e.s.away > 0 {
		if err := e.leaveAll(); err != nil {
			return err
		}
	}
	if err := e.start(); err != nil {
		return err
	}
	if err := e.drive(e.nowNs() + int64(o.warmup)); err != nil {
		return fmt.Errorf("warm-up: %w", err)
	}
	before, err := e.readUsage(pid, o.cpus)
	if err != nil {
		return err
	}
	written, first := writtenBytes(pid), e.progress()
	e.recording = true
	if err := e.begin(); err != nil {
		return err
	}
	endNs := before.atNs + int64(o.window)
	if e.goal > 0 && e.s.away == 0 {
		endNs = math.MaxInt64 // it ends at the goal, or when nothing comes any more
	}
	if err := e.drive(endNs); err != nil {
		return err
	}
	after, err := e.readUsage(pid, o.cpus)
	if err != nil {
		return err
	}
	e.recording = false
	e.fill(r, before, after, e.progress()-first, o.cpus)
	if e.s.durable != "" {
		e.fillDurable(r, writtenBytes(pid)-written, b.dir)
	}
	r.ResidentBytes, err = residentBytes(pid)
	return err
}

func (e *engine) fill(r *result, before, after usage, delivered uint64, cpus [2]int) {
	lengthNs := float64(after.atNs - before.atNs)
	brokerNs, selfNs := float64(after.brokerNs-before.brokerNs), float64(after.selfNs-before.selfNs)
	r.Seconds = lengthNs / 1e9
	r.Delivered = delivered
	r.Rate = float64(delivered) / r.Seconds
	if delivered > 0 {
		r.CPUMicros = brokerNs / 1e3 / float64(delivered)
	}
	r.BrokerCPU, r.GeneratorCPU = brokerNs/lengthNs, selfNs/lengthNs
	if cpus[0] >= 0 {
		r.BrokerOthers = max(0, float64(after.busyNs[0]-before.busyNs[0])-brokerNs) / lengthNs
	}
	if cpus[1] >= 0 {
		r.GeneratorOthers = max(0, float64(after.busyNs[1]-before.busyNs[1])-selfNs) / lengthNs
	}
	r.Late, r.HeldBack = e.late, e.heldBack
	if e.s.outstanding > 0 || e.s.connects > 0 {
		e.latency.correct()
	}
	r.P50Ms = float64(e.latency.quantile(0.50)) / 1e6
	r.P99Ms = float64(e.latency.quantile(0.99)) / 1e6
	r.P999Ms = float64(e.latency.quantile(0.999)) / 1e6
	r.MaxMs = float64(e.latency.quantile(1)) / 1e6
}
