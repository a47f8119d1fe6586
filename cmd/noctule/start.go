package main

import (
	crand "crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/noctulemq/noctule/auth"
	"github.com/noctulemq/noctule/config"
	"github.com/noctulemq/noctule/loop"
	"github.com/noctulemq/noctule/shard"
)

// defaultPort is where the broker listens when nothing else is said.
const defaultPort = 1883

// applyFlags gives a configuration without listeners the local ones: loopback only, on the ports of -p.
func applyFlags(cfg *config.Config, f *flags) {
	if len(cfg.Listeners) > 0 {
		return
	}
	f.local = true
	ports := f.ports
	if len(ports) == 0 {
		ports = []uint16{defaultPort}
	}
	if !cfg.AllowAnonymousSet {
		cfg.AllowAnonymous, cfg.AllowAnonymousSet = true, true
	}
	for _, port := range ports {
		for _, address := range [...]string{"127.0.0.1", "::1"} {
			l := cfg.Local
			l.Port, l.Address = port, address
			cfg.Listeners = append(cfg.Listeners, l)
		}
	}
}

// server is what runs: the broker on its loops, and the sockets that feed it.
type server struct {
	broker    *shard.Broker
	group     *loop.Group
	listeners []*loop.Listener
}

// start opens the sockets first, so that a port in use is known before anything else exists, then runs the loops.
func start(cfg *config.Config, f flags, log *logger) (*server, error) {
	log.Printf("noctule version %s starting", version)
	if f.configFile != "" {
		log.Printf("Config loaded from %s.", f.configFile)
	} else {
		log.Printf("Using default config.")
	}
	for _, n := range cfg.Notes {
		log.Printf("Warning: %s", n)
	}
	if f.local {
		log.Printf("Starting in local only mode. Connections will only be possible from clients running on this machine.")
	}
	setCollector(cfg)
	group, err := newGroup(cfg)
	if err != nil {
		return nil, err
	}
	s := &server{group: group}
	for i := range cfg.Listeners {
		if err := s.open(cfg, &cfg.Listeners[i], log); err != nil {
			s.closeListeners()
			return nil, err
		}
	}
	s.broker = shard.New(shard.Options{Config: cfg, Log: log, Seed: seed(), Group: group})
	for _, ls := range s.listeners {
		for i := range group.Len() {
			if err := group.Loop(i).Listen(ls); err != nil {
				return nil, fmt.Errorf("watch %s: %w", ls.Addr(), err)
			}
		}
	}
	group.Start()
	log.Printf("noctule version %s running", version)
	return s, nil
}

// garbagePercent is how much the heap may grow between collections, in percent of what is alive. Traffic makes no
// garbage, so a collection is rare, and a smaller heap is worth more than fewer of them.
const garbagePercent = 50

// ballast counts as alive and is never touched, so that it takes no memory: without it a small broker's heap would be
// collected after each megabyte of garbage, of which large payloads can make thousands a second.
var ballast []byte

const ballastBytes = 8 << 20

// setCollector gives the garbage collector its budget. GOGC and GOMEMLIMIT in the environment win.
func setCollector(cfg *config.Config) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbagePercent)
		ballast = make([]byte, ballastBytes)
	}
	if cfg.MemoryLimit > 0 && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(cfg.MemoryLimit + int64(len(ballast)))
	}
}

// newGroup makes one loop for each CPU the process may use, by its mask and by its container's quota, unless the
// configuration says otherwise. Under a quota the loops are not pinned: every container would choose the first CPUs.
func newGroup(cfg *config.Config) (*loop.Group, error) {
	n, pin := cfg.Loops, cfg.PinLoops
	if n == 0 {
		cpus := max(len(loop.UsableCPUs()), 1)
		n = min(cpus, runtime.GOMAXPROCS(0), loop.LoopsMax)
		pin = pin && n == cpus
	}
	// One P more than loops: the log writer and the signals must not wait for a busy loop to be preempted, nor take its P.
	runtime.GOMAXPROCS(n + 1)
	return loop.NewGroup(n, loop.GroupOptions{Pin: pin})
}

// open opens the sockets of one listener: one for each address family its address has.
func (s *server) open(cfg *config.Config, l *config.Listener, log *logger) error {
	sockets, err := loop.ListenTCP(l.Address, l.Port)
	if err != nil {
		if l.Address == "::1" && errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT) {
			log.Printf("Warning: this machine has no IPv6; not listening on %s.", l.Address)
			return nil
		}
		return describe(err)
	}
	tag := shard.NewListener(*l, access(anonymous(cfg, l)))
	for _, ls := range sockets {
		ls.Tag, ls.NoDelay = tag, cfg.SetTCPNoDelay
		family := "ipv4"
		if ls.Addr().Addr().Is6() {
			family = "ipv6"
		}
		log.Printf("Opening %s listen socket on port %d.", family, ls.Addr().Port())
	}
	s.listeners = append(s.listeners, sockets...)
	return nil
}

// describe adds what to do about the commonest failure.
func describe(err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%w: is another broker running on this port?", err)
	}
	return err
}

// anonymous is whether a listener takes clients without a user name: as it says, else as the file says, else not.
func anonymous(cfg *config.Config, l *config.Listener) bool {
	if l.AllowAnonymous != nil {
		return *l.AllowAnonymous
	}
	return cfg.AllowAnonymousSet && cfg.AllowAnonymous
}

func seed() uint64 {
	var b [8]byte
	_, _ = crand.Read(b[:]) // does not fail: it ends the program when the kernel has no randomness
	return binary.LittleEndian.Uint64(b[:])
}

// stop ends the broker as a signal asks, then frees the ports.
func (s *server) stop() error {
	err := s.broker.Stop()
	s.closeListeners()
	return err
}

func (s *server) closeListeners() {
	for _, ls := range s.listeners {
		ls.Close()
	}
}

// access admits everybody or nobody.
type access bool

// NeedsWorker implements shard.Access.
func (access) NeedsWorker() bool { return false }

// Login implements shard.Access.
func (a access) Login(*auth.Client) (ok bool, rule string) { return bool(a), "allow_anonymous is false" }

// Rights implements shard.Access.
func (access) Rights(*auth.Client) auth.Rights { return nil }
