package main

import (
	crand "crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"sync/atomic"
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
	inherited *inherited
	log       *logging.Log
	flags     *flags
	cfg       *config.Config // in force
	hooks     hooks
	hangups   *hangups
	// transports is used by start, then by reloads, one at a time.
	transports transports
	printing   atomic.Bool // the subscription tree is being printed. Any thread

	// dynsec is open, for dynsecFile, from the first configuration that asks for it until the end.
	dynsec     *dynsec.Plugin
	dynsecFile string
	control    atomic.Pointer[controlAPI]

	store   persist.Store // nil: nothing is stored
	trouble atomic.Bool   // the store cannot store at present. Any thread
	sys     *sys.Publisher
}

// start opens the sockets first, so that a port in use is known before anything else exists, then runs the loops.
func start(cfg *config.Config, f *flags, log *logging.Log, h *hangups) (*server, error) {
	log.Logf(logging.Information, "noctule version %s starting", version)
	if f.configFile != "" {
		log.Logf(logging.Information, "Config loaded from %s.", f.configFile)
	} else {
		log.Log(logging.Information, "Using default config.")
	}
	for _, n := range cfg.Notes {
		log.Logf(logging.Warning, "Warning: %s", n)
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
	s := &server{group: group, log: log, flags: f, cfg: cfg, hangups: h, transports: transports{loops: group.Len(), inFlight: cfg.MaxTLSHandshakes}}
	if err := s.openListeners(cfg); err != nil {
		return nil, err
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
					return nil, fmt.Errorf("watch %s: %w", ls.Place(), err)
				}
			}
		}
	}
	s.hooks = s.newHooks()
	s.hangups.broker.Store(s.broker)
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

// openListeners reads the files of all listeners, and opens their sockets or takes those of the service manager.
func (s *server) openListeners(cfg *config.Config) error {
	scopes, err := s.loadAccess(cfg)
	if err != nil {
		return err
	}
	if s.flags.keyLog != "" {
		if err := s.transports.openKeyLog(s.flags.keyLog); err != nil {
			return err
		}
		s.log.Logf(logging.Warning, "Warning: the keys of TLS connections are written to %s: whoever has the file can read them.", s.flags.keyLog)
	}
	sets := make([]*shard.ListenerSettings, len(cfg.Listeners))
	for i := range cfg.Listeners {
		l := &cfg.Listeners[i]
		sets[i] = &shard.ListenerSettings{Config: *l, Access: scopes[i]}
		var notes []string
		if sets[i].Transport, notes, err = s.transports.of(cfg, l); err != nil {
			return err
		}
		for _, n := range notes {
			s.log.Logf(logging.Warning, "Warning: %s: %s.", l.Name(), n)
		}
	}
	if s.inherited, err = inherit(); err != nil {
		return err
	}
	for i := range cfg.Listeners {
		if err := s.open(cfg, &cfg.Listeners[i], sets[i]); err != nil {
			s.closeListeners()
			return err
		}
	}
	if err := s.inherited.left(); err != nil {
		s.closeListeners()
		return err
	}
	return nil
}

// openBroker makes the broker and fills it with what was stored.
func (s *server) openBroker() error {
	var broker atomic.Pointer[shard.Broker]
	store, err := openStore(s.cfg, s.log, func(err error) {
		if s.trouble.Store(err != nil); err != nil {
			s.log.Logf(logging.Error, "Error: nothing can be stored: %s. QoS 1 and 2 messages are refused until it can.", err)
			logRights(s.log, err)
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
		logRights(s.log, err)
		s.trouble.Store(true)
	}
	tags := make([]*shard.Listener, len(s.listeners))
	for i, l := range s.listeners {
		tags[i] = l.tag
	}
	s.store = store
	s.broker = shard.New(shard.Options{Config: s.cfg, Log: shardLog{s.log}, Seed: seed(), Group: s.group, Control: s, Store: store, Listeners: tags,
		AwaitSignals: s.hangups.await})
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
			if samePlace(&n, &here) {
				n.MountPoint = here.MountPoint
				all[l.tag] = s.renew(next, l.tag.Settings(), n, scopes[i])
			}
		}
	}
	return all, nil
}

// samePlace is whether two listeners have the same sockets.
func samePlace(a, b *config.Listener) bool {
	return a.Port == b.Port && a.Address == b.Address && a.SocketPath == b.SocketPath && a.BindInterface == b.BindInterface && a.SocketDomain == b.SocketDomain
}

// renew is the settings of a listener with its certificates read again. When they cannot be used, how its connections are made
// stays as it is.
func (s *server) renew(cfg *config.Config, old *shard.ListenerSettings, l config.Listener, access *auth.Scope) *shard.ListenerSettings {
	set := &shard.ListenerSettings{Config: l, Access: access}
	made, notes, err := s.transports.of(cfg, &l)
	if err != nil {
		s.log.Logf(logging.Error, "Error: %s", err)
		s.log.Logf(logging.Error, "Error: The certificates and keys of '%s' have not been changed.", l.Name())
		set.Transport = old.Transport
		set.Config.TLS, set.Config.Protocol, set.Config.ProxyProtocol = old.Config.TLS, old.Config.Protocol, old.Config.ProxyProtocol
		return set
	}
	for _, n := range notes {
		s.log.Logf(logging.Warning, "Warning: %s: %s.", l.Name(), n)
	}
	set.Transport = made
	return set
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
	if slices.ContainsFunc(cfg.Listeners, func(l config.Listener) bool { return l.TLS.Wanted() }) {
		others += n // the threads of handshakes
	}
	runtime.GOMAXPROCS(n + others)
	return loop.NewGroup(n, loop.GroupOptions{Pin: pin})
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
