package main

import (
	crand "crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/noctulemq/noctule/auth"
	"github.com/noctulemq/noctule/auth/dynsec"
	"github.com/noctulemq/noctule/config"
	"github.com/noctulemq/noctule/logging"
	"github.com/noctulemq/noctule/loop"
	"github.com/noctulemq/noctule/persist"
	"github.com/noctulemq/noctule/shard"
	"github.com/noctulemq/noctule/sparkplug"
	"github.com/noctulemq/noctule/sys"
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

// server is what runs: the broker on its loops, and the sockets that feed it. The goroutine that waits for signals owns it.
type server struct {
	broker    *shard.Broker
	group     *loop.Group
	listeners []listener
	log       *logging.Log
	flags     *flags
	cfg       *config.Config // in force
	hooks     hooks
	printing  atomic.Bool // the subscription tree is being printed. Any thread

	// dynsec is open, for dynsecFile, from the first configuration that asks for it until the end.
	dynsec     *dynsec.Plugin
	dynsecFile string
	control    atomic.Pointer[controlAPI]

	store   persist.Store // nil: nothing is stored
	trouble atomic.Bool   // the store cannot store at present. Any thread
	sys     *sys.Publisher
}

// listener is one listener of the configuration: what clients of it are told by, and its sockets, one for each family.
type listener struct {
	tag     *shard.Listener
	sockets []*loop.Listener
}

// start opens the sockets first, so that a port in use is known before anything else exists, then runs the loops.
func start(cfg *config.Config, f *flags, log *logging.Log) (*server, error) {
	log.Logf(logging.Information, "noctule version %s starting", version)
	if f.configFile != "" {
		log.Logf(logging.Information, "Config loaded from %s.", f.configFile)
	} else {
		log.Log(logging.Information, "Using default config.")
	}
	for _, n := range cfg.Notes {
		log.Logf(logging.Warning, "Warning: %s", n)
	}
	if f.keyLog != "" {
		log.Log(logging.Warning, "Warning: '--tls-keylog' has no effect in this build: it has no TLS.")
	}
	if f.local {
		log.Log(logging.Warning, "Starting in local only mode. Connections will only be possible from clients running on this machine.")
		log.Log(logging.Warning, "A configuration file that defines a listener allows connections from elsewhere.")
	}
	setCollector(cfg)
	group, err := newGroup(cfg)
	if err != nil {
		return nil, err
	}
	s := &server{group: group, log: log, flags: f, cfg: cfg}
	scopes, err := s.loadAccess(cfg)
	if err != nil {
		return nil, err
	}
	for i := range cfg.Listeners {
		if err := s.open(cfg, &cfg.Listeners[i], scopes[i]); err != nil {
			s.closeListeners()
			return nil, err
		}
	}
	s.control.Store(newControlAPI(cfg, s.dynsec))
	if err := s.openBroker(); err != nil {
		s.closeListeners()
		return nil, err
	}
	for _, l := range s.listeners {
		for _, ls := range l.sockets {
			for i := range group.Len() {
				if err := group.Loop(i).Listen(ls); err != nil {
					return nil, fmt.Errorf("watch %s: %w", ls.Addr(), err)
				}
			}
		}
	}
	s.hooks = s.newHooks()
	group.Start()
	log.SetSink(topicSink{s.broker})
	s.sys = sys.Start(sys.Options{Broker: s.broker, Interval: sysInterval(cfg), Version: version})
	if usesPlugin(cfg, config.SparkplugAware) {
		if err := sparkplug.Start(s.broker, func(line string) { log.Log(logging.Warning, line) }); err != nil {
			return nil, fmt.Errorf("keep Sparkplug certificates: %w", err)
		}
	}
	log.Logf(logging.Information, "noctule version %s running", version)
	return s, nil
}

// openBroker makes the broker and fills it with what was stored.
func (s *server) openBroker() error {
	var broker atomic.Pointer[shard.Broker]
	store, err := openStore(s.cfg, s.log, func(err error) {
		if s.trouble.Store(err != nil); err != nil {
			s.log.Logf(logging.Error, "Error: nothing can be stored: %s. QoS 1 and 2 messages are refused until it can.", err)
		} else {
			s.log.Log(logging.Notice, "What is to be stored can be stored again.")
		}
		if b := broker.Load(); b != nil {
			b.SetTrouble(err != nil)
		}
	})
	var locked *persist.LockedError
	switch {
	case errors.As(err, &locked), errors.Is(err, persist.ErrNewer):
		return err
	case err != nil:
		s.log.Logf(logging.Error, "Error: %s. Nothing is stored, and QoS 1 and 2 messages are refused, until the broker is started again "+
			"with a 'persistence_location' that it can use, or with 'persistence false'.", err)
		s.trouble.Store(true)
	}
	tags := make([]*shard.Listener, len(s.listeners))
	for i, l := range s.listeners {
		tags[i] = l.tag
	}
	s.store = store
	s.broker = shard.New(shard.Options{Config: s.cfg, Log: shardLog{s.log}, Seed: seed(), Group: s.group, Control: s, Store: store, Listeners: tags})
	began := time.Now()
	if err := s.broker.Restore(); err != nil {
		return errors.Join(fmt.Errorf("read the store: %w", err), store.Close())
	}
	broker.Store(s.broker)
	s.broker.SetTrouble(s.trouble.Load())
	if n := s.broker.Restored(); store != nil {
		s.log.Logf(logging.Information, "Restored %d sessions and %d retained messages in %d ms.", n.Sessions, n.RetainedMessages, time.Since(began).Milliseconds())
	}
	return nil
}

// newHooks is what signals ask of this broker.
func (s *server) newHooks() hooks {
	return hooks{
		reload: func(load func() (*config.Config, error)) error {
			return s.broker.Reload(func() (*config.Config, map[*shard.Listener]*shard.ListenerSettings, error) {
				next, err := load()
				if err != nil {
					return nil, nil, err
				}
				settings, err := s.settings(next)
				if err != nil {
					return nil, nil, err
				}
				s.control.Store(newControlAPI(next, s.dynsec))
				return next, settings, nil
			})
		},
		save: func() error {
			if s.store == nil {
				s.log.Log(logging.Debug, "SIGUSR1: there is nothing to save, persistence is off.")
			}
			return s.broker.Save()
		},
		tree: s.broker.SubscriptionTree,
	}
}

// settings is what a configuration says of the listeners that are open. What needs other sockets, or would change topics
// under a connection, waits for the next start.
func (s *server) settings(next *config.Config) (map[*shard.Listener]*shard.ListenerSettings, error) {
	scopes, err := s.loadAccess(next)
	if err != nil {
		return nil, err
	}
	all := make(map[*shard.Listener]*shard.ListenerSettings)
	for _, l := range s.listeners {
		here := l.tag.Settings().Config
		for i, n := range next.Listeners {
			if n.Port == here.Port && n.Address == here.Address && n.SocketPath == here.SocketPath {
				n.MountPoint = here.MountPoint
				all[l.tag] = &shard.ListenerSettings{Config: n, Access: scopes[i]}
			}
		}
	}
	return all, nil
}

// Control implements shard.Control.
func (s *server) Control(from *auth.Client, topic string, payload []byte) []byte {
	return s.control.Load().Control(from, topic, payload)
}

func sysInterval(cfg *config.Config) time.Duration {
	return time.Duration(cfg.SysInterval) * time.Second
}

// usesPlugin is whether a listener has a plugin of this kind.
func usesPlugin(cfg *config.Config, kind config.Builtin) bool {
	for i := range cfg.Listeners {
		for _, p := range cfg.Security(&cfg.Listeners[i]).Plugins {
			if p.Builtin == kind {
				return true
			}
		}
	}
	return false
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
	// One P more than loops, and one for each login worker: the log writer, the signals and the hashes must not wait for a
	// busy loop to be preempted, nor take its P.
	others := 1 + shard.LoginWorkers(cfg, n)
	if cfg.Persistence.Enabled {
		others++ // the store's committer, for which acknowledgements wait
	}
	runtime.GOMAXPROCS(n + others)
	return loop.NewGroup(n, loop.GroupOptions{Pin: pin})
}

// open opens the sockets of one listener: one for each address family its address has.
func (s *server) open(cfg *config.Config, l *config.Listener, access *auth.Scope) error {
	sockets, err := loop.ListenTCP(l.Address, l.Port)
	if err != nil {
		if l.Address == "::1" && errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT) {
			s.log.Logf(logging.Warning, "Warning: this machine has no IPv6; not listening on %s.", l.Address)
			return nil
		}
		return describe(err, l.Port)
	}
	tag := shard.NewListener(*l, access)
	for _, ls := range sockets {
		ls.Tag, ls.NoDelay = tag, cfg.SetTCPNoDelay
		family := "ipv4"
		if ls.Addr().Addr().Is6() {
			family = "ipv6"
		}
		s.log.Logf(logging.Information, "Opening %s listen socket on port %d.", family, ls.Addr().Port())
	}
	s.listeners = append(s.listeners, listener{tag, sockets})
	return nil
}

// describe puts the system's reason first, as Mosquitto writes it, and adds what to do about the commonest.
func describe(err error, port uint16) error {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return fmt.Errorf("creating listener: %w", err)
	}
	reason := errno.Error()
	reason = strings.ToUpper(reason[:1]) + reason[1:]
	where := strings.TrimSuffix(err.Error(), ": "+errno.Error())
	switch {
	case errno == syscall.EADDRINUSE:
		return fmt.Errorf("%s (%s): is another broker running on this port?", reason, where)
	case errno == syscall.EACCES && port < 1024:
		return fmt.Errorf("%s (%s): the broker gives up root's rights before it opens ports; allow it ports below 1024 with: "+
			"setcap cap_net_bind_service=+ep %s", reason, where, executable())
	}
	return fmt.Errorf("%s (%s)", reason, where)
}

// executable is this program's file, for what people are told to type.
func executable() string {
	path, err := os.Executable()
	if err != nil {
		return os.Args[0]
	}
	return path
}

func seed() uint64 {
	var b [8]byte
	_, _ = crand.Read(b[:]) // does not fail: it ends the program when the kernel has no randomness
	return binary.LittleEndian.Uint64(b[:])
}

// stop ends the broker as a signal asks, then frees the ports.
func (s *server) stop() error {
	s.sys.Stop()
	err := s.broker.Stop()
	s.closeListeners()
	if s.store != nil {
		err = errors.Join(err, s.store.Close())
	}
	return err
}

func (s *server) closeListeners() {
	for _, l := range s.listeners {
		for _, ls := range l.sockets {
			ls.Close()
		}
	}
}
