package parity

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"sync"
	"testing"
)

// conversation is a script with a name. It is run once for each of its levels.
type conversation struct {
	name   string
	levels []int // none: 3.1, 3.1.1 and 5
	run    func(s *script)
}

// group is the conversations that share a configuration, and so a pair of brokers.
type group struct {
	name   string
	config string            // after the common lines
	files  map[string]string // beside the configuration, by name
	setUp  func(t *testing.T, p *place)
	atOnce bool // the conversations wait for time to pass: run them at the same time
	talks  []conversation
}

// common begins every group's configuration. A broker that keeps its user dies with the test that started it; without Nagle a
// PINGRESP need not wait for an acknowledgement of what went before it.
const common = "user root\nlistener @PORT1@ 127.0.0.1\nsys_interval 0\nset_tcp_nodelay true\n"

// sized is Mosquitto 2.1's default, which CONNACK says to version 5 clients. Most groups have it, so that this difference
// to 2.0, which has no limit, does not stand in every conversation.
const sized = "max_packet_size 2000000\n"

// groups is every conversation of this package.
func groups() []group {
	return slices.Concat(connectGroups(), malformedGroups(), messageGroups(), sessionGroups(), limitGroups(), accessGroups())
}

var (
	only5 = []int{v5}
	only3 = []int{v31, v4}
	only4 = []int{v4}
	both  = []int{v4, v5} // where 3.1 has nothing of its own
)

var levelNames = map[int]string{v31: "3.1", v4: "3.1.1", v5: "5"}

// cast is a conversation at one level.
type cast struct {
	conversation
	level int
	title string // unique among all
}

// casts gives the conversations of a group at their levels.
func (g *group) casts() (all []cast) {
	for _, c := range g.talks {
		levels := c.levels
		if levels == nil {
			levels = []int{v31, v4, v5}
		}
		for _, level := range levels {
			all = append(all, cast{c, level, fmt.Sprintf("%s, %s: %s", g.name, levelNames[level], c.name)})
		}
	}
	return all
}

// tag is what identifiers and topics of a conversation begin with.
func (c *cast) tag() string {
	h := fnv.New32a()
	h.Write([]byte(c.title))
	return fmt.Sprintf("t%07x", h.Sum32()>>4)
}

// TestConversationNames holds that no two conversations share a title or a tag.
func TestConversationNames(t *testing.T) {
	titles, tags := map[string]bool{}, map[string]bool{}
	for _, g := range groups() {
		for _, c := range g.casts() {
			if titles[c.title] || tags[c.tag()] {
				t.Errorf("%s: the title or its tag is not unique", c.title)
			}
			titles[c.title], tags[c.tag()] = true, true
		}
	}
	if len(titles) < 220 {
		t.Errorf("only %d conversations", len(titles))
	}
	t.Logf("%d conversations", len(titles))
}

// TestConversations runs every conversation against both brokers.
func TestConversations(t *testing.T) {
	needMosquitto(t)
	known := readDifferences(t)
	for _, g := range groups() {
		t.Run(g.name, func(t *testing.T) { g.test(t, known) })
	}
	known.finish(t)
}

// test runs a group's conversations: both brokers at the same time, each with its own copy of the files.
func (g *group) test(t *testing.T, known *differences) {
	notes := map[string]map[string][]string{}
	var wg sync.WaitGroup
	programs := []string{mosquitto, noctule}
	for _, program := range programs {
		p := newPlace(t)
		for name, text := range g.files {
			p.write(t, name, text)
		}
		if g.setUp != nil {
			g.setUp(t, p)
		}
		config := common + g.config
		if !strings.Contains(config, "allow_anonymous") {
			config += "allow_anonymous true\n"
		}
		file := p.write(t, "mosquitto.conf", config)
		if ok, why := accepts(file); !ok {
			t.Fatalf("noctule refuses the configuration:\n%s", why)
		}
		b, err := p.start(program, file)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := b.stop(); err != nil {
				t.Errorf("%s: %v", program, err)
			} else if t.Failed() && testing.Verbose() {
				t.Logf("%s:\n%s", program, b.log)
			}
		})
		mine := map[string][]string{}
		notes[program] = mine
		wg.Go(func() { g.play(b, mine) })
	}
	wg.Wait()
	for _, c := range g.casts() {
		t.Run(levelNames[c.level]+" "+c.name, func(t *testing.T) {
			known.compare(t, c.title, notes[mosquitto][c.title], notes[noctule][c.title])
		})
	}
}

// play runs a group's conversations against one broker and collects their notes.
func (g *group) play(b *broker, notes map[string][]string) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, c := range g.casts() {
		s := &script{level: c.level, tag: c.tag(), broker: b}
		one := func() {
			c.run(s)
			s.finish()
			mu.Lock()
			defer mu.Unlock()
			notes[c.title] = s.notes
		}
		if g.atOnce {
			wg.Go(one)
		} else {
			one()
		}
	}
	wg.Wait()
}
