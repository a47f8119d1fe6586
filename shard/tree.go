package shard

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/noctulemq/noctule/router"
)

// SubscriptionTree writes every subscription, a level to a line, with the clients behind the last level of each filter:
// "(client, QoS)". The loops stand still while they list theirs. It must not be called from a loop.
func (b *Broker) SubscriptionTree(w io.Writer) error {
	lists := make(chan map[string][]string, b.loops)
	if err := b.call(func(s *Shard) { lists <- s.subscribers() }); err != nil {
		return err
	}
	all := make(map[string][]string)
	for range b.loops {
		for filter, clients := range <-lists {
			all[filter] = append(all[filter], clients...)
		}
	}
	out := bufio.NewWriter(w)
	printTree(out, all)
	return out.Flush()
}

// subscribers lists the clients of this loop behind each filter.
func (s *Shard) subscribers() map[string][]string {
	all := make(map[string][]string)
	s.index.Each(func(e *router.Entry) {
		for i := range e.Subs {
			all[e.Filter] = append(all[e.Filter], fmt.Sprintf("(%s, %d)", s.sessions.at(e.Subs[i].Key).id, e.Subs[i].QoS))
		}
	})
	s.eachSession(func(ss *session) {
		for _, filter := range ss.subs.list {
			if share, shared, _ := router.ParseShare(filter); shared {
				all[share.Filter] = append(all[share.Filter], fmt.Sprintf("(%s, shared by %s)", ss.id, share.Group))
			}
		}
	})
	return all
}

// printTree writes filters in the order of their levels.
func printTree(w io.Writer, clients map[string][]string) {
	filters := make([][]string, 0, len(clients))
	for filter := range clients {
		filters = append(filters, strings.Split(filter, "/"))
	}
	slices.SortFunc(filters, slices.Compare)
	var above []string
	for _, levels := range filters {
		same := 0
		for same < len(above) && same < len(levels)-1 && above[same] == levels[same] {
			same++
		}
		for depth := same; depth < len(levels); depth++ {
			line := strings.Repeat("  ", depth) + levels[depth]
			if depth == len(levels)-1 {
				list := clients[strings.Join(levels, "/")]
				slices.Sort(list)
				line += " " + strings.Join(list, " ")
			}
			fmt.Fprintln(w, line)
		}
		above = levels
	}
}
