package bench

import (
	"embed"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

//go:embed scenarios/*.scenario
var scenarioFiles embed.FS

// scenarioSuffix ends the name of a scenario's file.
const scenarioSuffix = ".scenario"

// scenario is one load, as its file describes it: a comment on the first line that says what it is, then a key and a
// value on each line. The keys are in scenarioKeys.
type scenario struct {
	name, about  string
	pubs, subs   int
	pairs        bool // publisher i to subscriber i, else all to all
	qos          byte
	payloadBytes int
	outstanding  int      // messages per publisher sent and not yet delivered to everyone; 0 at a fixed rate
	perSec       int      // messages published per second by all publishers together; 0 at full speed
	share        string   // the subscribers are one group of this name: each message reaches one of them
	filters      int      // subscriptions of clients that look on and match nothing
	slow         int      // subscribers that stop reading after the warm-up; what they get is not counted
	messages     int      // the run ends after that many messages; 0: after the window
	retained     int      // messages stored before the run; the subscribers then subscribe at its start, to what subscribe says
	subscribe    []string // filters that the subscribers take in turn
	idle         int      // connections of the memory scenario; then nothing above is used
	connects     int      // slots that connect and disconnect without end, in place of traffic
	reconnects   int      // clients that are cut off and come back, in place of traffic
	// durable is the commit policy with which Noctule stores on the disk; "": brokers keep everything in memory. Subscribers
	// then have sessions that stay, and the time until a message is acknowledged is measured.
	durable string
	// transport is what lies between TCP and MQTT: overTLS, overWebSocket, or "" for nothing.
	transport string
	away      int // subscribers are away in the window; most messages that each is sent meanwhile. 0: they are there
	cycleMs   int // milliseconds after which the half of the subscribers that is there leaves and the other half comes back; 0: all stay
	retain    int // topics that a publisher's messages, which are then retained, take in turn; 0: one, and they are not
	seconds   int // the window is at least so long
	// nodelay sets set_tcp_nodelay in the broker's configuration file, which Mosquitto leaves off. At full speed it stays
	// off: there Nagle's algorithm merges the many small writes of a broker that does not batch, and the comparison
	// grants it that. At a fixed rate it would hold messages until the subscriber's delayed acknowledgement (measured
	// with Mosquitto 2.0: 10 ms at the median, 20 ms at p99) and merge them at no cost to the broker, and with 4 KiB it
	// keeps Mosquitto idle nine tenths of the time; there both sides must deliver at once.
	nodelay bool
}

// scenarioKey is one key of a scenario file.
type scenarioKey struct {
	name, help string
	set        func(s *scenario, value string) error
}

var scenarioKeys = []scenarioKey{
	{"publishers", "number of publishing clients", intInto(1, 20_000, func(s *scenario) *int { return &s.pubs })},
	{"subscribers", "number of subscribing clients", intInto(1, 20_000, func(s *scenario) *int { return &s.subs })},
	{"topics", "pairs: publisher i to subscriber i; one: all to all (default)", setTopics},
	{"qos", "of publications and subscriptions: 0 (default), 1 or 2", setQoS},
	{"payload", "bytes of each message (default 128)", intInto(payloadBytesMin, readBytes/4, func(s *scenario) *int { return &s.payloadBytes })},
	{"outstanding", "full speed: messages of a publisher that are under way at once", intInto(1, 65_000, func(s *scenario) *int { return &s.outstanding })},
	{"rate", "fixed rate: messages published per second by all publishers together", intInto(1, 10_000_000, func(s *scenario) *int { return &s.perSec })},
	{"nodelay", "true: brokers are started with TCP_NODELAY", setNoDelay},
	{"transport", "tls (1.3, with an ECDSA P-256 certificate) or websockets: what lies between TCP and MQTT", setTransport},
	{"share", "name of the group that all subscribers share: each message reaches one of them", setShare},
	{"filters", "subscriptions of other clients, with wildcards, that match nothing", intInto(1, 10_000_000, func(s *scenario) *int { return &s.filters })},
	{"slow", "that many of the subscribers stop reading after the warm-up; only the others count", intInto(1, 20_000, func(s *scenario) *int { return &s.slow })},
	{"messages", "the run ends after that many messages, not after the window", intInto(1, 1_000_000_000, func(s *scenario) *int { return &s.messages })},
	{"retained", "messages stored before the run, at the start of which the subscribers subscribe", intInto(1, 1_000_000, func(s *scenario) *int { return &s.retained })},
	{"subscribe", "with retained: a filter; given several times, the subscribers take them in turn", setSubscribe},
	{"durable", "strict, balanced or fast: brokers store on the disk, Noctule with this persistence_commit; subscribers have sessions that stay", setDurable},
	{"away", "with durable: the subscribers are away in the window, in which each is sent so many messages at most; then they come back", intInto(1, 60_000, func(s *scenario) *int { return &s.away })},
	{"cycle", "with durable: milliseconds after which half of the subscribers leave and the other half come back", intInto(1, 3_600_000, func(s *scenario) *int { return &s.cycleMs })},
	{"retain", "with durable: messages are retained, on so many topics of each publisher in turn", intInto(1, 1000, func(s *scenario) *int { return &s.retain })},
	{"seconds", "the window is at least so long", intInto(1, 86_400, func(s *scenario) *int { return &s.seconds })},
	{"idle", "connections that subscribe and stay silent, in place of traffic", intInto(1, 1_000_000, func(s *scenario) *int { return &s.idle })},
	{"connects", "slots that connect and disconnect again and again, in place of traffic", intInto(1, 10_000, func(s *scenario) *int { return &s.connects })},
	{"reconnects", "clients with a subscription that are cut off at once and come back, in place of traffic", intInto(1, 18_000, func(s *scenario) *int { return &s.reconnects })},
}

// intInto makes a setter for a number within bounds.
func intInto(low, high int, field func(*scenario) *int) func(*scenario, string) error {
	return func(s *scenario, value string) error {
		n, err := strconv.Atoi(value)
		if err != nil || n < low || n > high {
			return fmt.Errorf("%q is not a number from %d to %d", value, low, high)
		}
		*field(s) = n
		return nil
	}
}

func setTopics(s *scenario, value string) error {
	if value != "pairs" && value != "one" {
		return fmt.Errorf("%q is neither pairs nor one", value)
	}
	s.pairs = value == "pairs"
	return nil
}

func setQoS(s *scenario, value string) error {
	if len(value) != 1 || value[0] < '0' || value[0] > '2' {
		return fmt.Errorf("%q is not 0, 1 or 2", value)
	}
	s.qos = value[0] - '0'
	return nil
}

func setNoDelay(s *scenario, value string) (err error) {
	s.nodelay, err = strconv.ParseBool(value)
	return err
}

func setDurable(s *scenario, value string) error {
	if value != "strict" && value != "balanced" && value != "fast" {
		return fmt.Errorf("%q is neither strict nor balanced nor fast", value)
	}
	s.durable = value
	return nil
}

func setTransport(s *scenario, value string) error {
	if value != overTLS && value != overWebSocket {
		return fmt.Errorf("%q is neither %s nor %s", value, overTLS, overWebSocket)
	}
	s.transport = value
	return nil
}

func setShare(s *scenario, value string) error {
	if value == "" || strings.ContainsAny(value, "/+#") {
		return fmt.Errorf("%q is no name of a group: it is wanted, without / + and #", value)
	}
	s.share = value
	return nil
}

func setSubscribe(s *scenario, value string) error {
	if value == "" {
		return errors.New("a filter is wanted")
	}
	s.subscribe = append(s.subscribe, value)
	return nil
}

// parseScenario reads the text of a scenario file. Errors name the line.
func parseScenario(name, text string) (scenario, error) {
	s := scenario{name: name, payloadBytes: 128}
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if about, comment := strings.CutPrefix(line, "#"); comment || line == "" {
			if i == 0 {
				s.about = strings.TrimSpace(about)
			}
			continue
		}
		key, value, _ := strings.Cut(line, " ")
		at := slices.IndexFunc(scenarioKeys, func(k scenarioKey) bool { return k.name == key })
		if at < 0 {
			return s, fmt.Errorf("%s:%d: unknown key %q; there are %s", name, i+1, key, strings.Join(keyNames(), ", "))
		}
		if err := scenarioKeys[at].set(&s, strings.TrimSpace(value)); err != nil {
			return s, fmt.Errorf("%s:%d: %s: %w", name, i+1, key, err)
		}
	}
	return s, s.check()
}

func keyNames() (names []string) {
	for _, k := range scenarioKeys {
		names = append(names, k.name)
	}
	return names
}

// check finds what does not fit together.
func (s *scenario) check() error {
	switch {
	case s.transport != "" && (s.durable != "" || s.churns() || s.retained > 0 || s.filters > 0):
		return fmt.Errorf("%s: transport is not for durable, connects, reconnects, retained and filters", s.name)
	case s.durable != "" || s.away > 0 || s.cycleMs > 0 || s.retain > 0:
		return s.checkDurable()
	case s.idle > 0 || s.churns():
		return nil
	case s.retained > 0 || len(s.subscribe) > 0:
		return s.checkRetained()
	case s.pubs == 0 || s.subs == 0:
		return fmt.Errorf("%s: publishers and subscribers are wanted", s.name)
	case s.pairs && s.pubs != s.subs:
		return fmt.Errorf("%s: pairs of %d publishers and %d subscribers", s.name, s.pubs, s.subs)
	case (s.outstanding > 0) == (s.perSec > 0):
		return fmt.Errorf("%s: either outstanding or rate is wanted", s.name)
	case s.pairs && (s.share != "" || s.slow > 0):
		return fmt.Errorf("%s: share and slow are for one topic, not for pairs", s.name)
	case s.slow > 0 && (s.share != "" || s.slow >= s.subs):
		return fmt.Errorf("%s: %d slow subscribers leave no other of %d, or share a subscription", s.name, s.slow, s.subs)
	}
	return nil
}

func (s *scenario) checkDurable() error {
	switch {
	case s.durable == "":
		return fmt.Errorf("%s: away, cycle and retain are for durable", s.name)
	case !s.pairs || s.pubs == 0 || s.pubs != s.subs || s.qos != 1:
		return fmt.Errorf("%s: durable wants pairs of publishers and subscribers, and qos 1", s.name)
	case s.idle > 0 || s.churns() || s.retained > 0 || len(s.subscribe) > 0 || s.share != "" || s.slow > 0 || s.messages > 0:
		return fmt.Errorf("%s: durable is not for idle, connects, reconnects, retained, share, slow and messages", s.name)
	case (s.outstanding > 0) == (s.perSec > 0):
		return fmt.Errorf("%s: either outstanding or rate is wanted", s.name)
	case s.outstanding > ackWindow:
		return fmt.Errorf("%s: durable is for at most %d outstanding", s.name, ackWindow)
	case s.away > 0 && s.outstanding == 0 || s.cycleMs > 0 && s.perSec == 0:
		return fmt.Errorf("%s: away wants outstanding, cycle wants a rate", s.name)
	}
	return nil
}

func (s *scenario) checkRetained() error {
	switch {
	case s.retained == 0 || len(s.subscribe) == 0 || s.subs == 0:
		return fmt.Errorf("%s: retained, subscribe and subscribers are wanted together", s.name)
	case s.pairs || s.share != "" || s.slow > 0 || s.outstanding > 0:
		return fmt.Errorf("%s: retained is not for pairs, share, slow and outstanding", s.name)
	case (s.pubs > 0) != (s.perSec > 0):
		return fmt.Errorf("%s: publishers beside retained want a rate", s.name)
	case s.pubs == 0 && s.messages == 0:
		return fmt.Errorf("%s: retained without publishers wants messages, which end the run", s.name)
	}
	return nil
}

// scenarios returns the built-in scenarios by name.
func scenarios() []scenario {
	files, err := scenarioFiles.ReadDir("scenarios")
	if err != nil {
		panic("BUG: " + err.Error())
	}
	var all []scenario
	for _, f := range files {
		text, err := scenarioFiles.ReadFile(path.Join("scenarios", f.Name()))
		if err != nil {
			panic("BUG: " + err.Error())
		}
		s, err := parseScenario(strings.TrimSuffix(f.Name(), scenarioSuffix), string(text))
		if err != nil {
			panic("BUG: " + err.Error())
		}
		all = append(all, s)
	}
	return all
}

// findScenario returns a built-in scenario, or the one in a file of the caller's.
func findScenario(name string) (scenario, error) {
	all := scenarios()
	for _, s := range all {
		if s.name == name {
			return s, nil
		}
	}
	if !strings.HasSuffix(name, scenarioSuffix) {
		return scenario{}, fmt.Errorf("unknown scenario %q: 'noctule bench list' shows them; a file of your own ends in %s", name, scenarioSuffix)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return scenario{}, fmt.Errorf("read the scenario: %w", err)
	}
	return parseScenario(strings.TrimSuffix(path.Base(name), scenarioSuffix), string(text))
}

// pickScenarios returns the scenarios of a comma-separated list of names, NAME* for all that begin so, or all of them
// for "all".
func pickScenarios(list string) ([]scenario, error) {
	all := scenarios()
	if list == "all" {
		return all, nil
	}
	var picked []scenario
	for name := range strings.SplitSeq(list, ",") {
		if start, ok := strings.CutSuffix(name, "*"); ok {
			before := len(picked)
			for _, s := range all {
				if strings.HasPrefix(s.name, start) {
					picked = append(picked, s)
				}
			}
			if len(picked) == before {
				return nil, fmt.Errorf("no scenario begins with %q: 'noctule bench list' shows them", start)
			}
			continue
		}
		s, err := findScenario(name)
		if err != nil {
			return nil, err
		}
		picked = append(picked, s)
	}
	return picked, nil
}

// runList prints the scenarios and the keys of their files.
func runList(args []string, out, _ io.Writer) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("list takes no arguments")}
	}
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, s := range scenarios() {
		fmt.Fprintf(t, "%s\t%s\n", s.name, s.about)
	}
	fmt.Fprintf(t, "\nA file of your own, NAME%s, has these keys, one on each line:\n", scenarioSuffix)
	for _, k := range scenarioKeys {
		fmt.Fprintf(t, "%s\t%s\n", k.name, k.help)
	}
	return t.Flush()
}

// paired reports whether publisher i speaks to subscriber i alone.
func (s *scenario) paired() bool { return s.pairs }

// copies is how many subscribers get each message.
func (s *scenario) copies() int {
	if s.paired() || s.share != "" {
		return 1
	}
	return s.subs - s.slow
}

// churns reports that connections come and go in place of traffic.
func (s *scenario) churns() bool { return s.connects > 0 || s.reconnects > 0 }

// flows is how many streams of messages are followed one by one.
func (s *scenario) flows() int {
	switch {
	case s.paired():
		return s.subs
	case s.share != "":
		return s.pubs
	}
	return s.subs * s.pubs
}

// topic is what publisher i publishes to.
func (s *scenario) topic(i int) string {
	switch {
	case s.retained > 0:
		return liveTopic(i)
	case s.paired():
		return fmt.Sprintf("bench/pair/%04d", i)
	}
	return "bench/pair/all0"
}

// filter is what subscriber i subscribes to before the run; "" with retained, where it subscribes in the window.
func (s *scenario) filter(i int) string {
	switch {
	case s.retained > 0:
		return ""
	case s.retain > 0:
		return s.topic(i) + "/+"
	case s.share != "":
		return "$share/" + s.share + "/" + s.topic(i)
	}
	return s.topic(i)
}

// leaves reports that subscribers come and go, so that the time until a message is delivered says nothing.
func (s *scenario) leaves() bool { return s.away > 0 || s.cycleMs > 0 }

func (s *scenario) describe() string {
	if s.idle > 0 || s.churns() {
		return s.about
	}
	nodelay := "off"
	if s.nodelay {
		nodelay = "on"
	}
	text := fmt.Sprintf("%s QoS %d, %d bytes, TCP_NODELAY %s", s.about, s.qos, s.payloadBytes, nodelay)
	if s.durable != "" {
		text += fmt.Sprintf(". Stored with persistence_commit %s; Mosquitto: autosave_on_changes, autosave_interval 1; %s: not stored.", s.durable, memoryName)
	}
	return text
}
