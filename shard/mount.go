package shard

import (
	"unsafe"

	"github.com/noctulemq/noctule/router"
)

// A listener's `mount_point` stands before every topic and filter of its clients, and is taken off what they are sent.

// mount returns a topic behind the mount point, until the next call.
func (s *Shard) mount(point, topic string) string {
	s.mounted = append(append(s.mounted[:0], point...), topic...)
	return unsafe.String(unsafe.SliceData(s.mounted), len(s.mounted))
}

// mountable reports whether a topic still fits into a packet behind a mount point.
func mountable(point, topic string) bool {
	return len(point)+len(topic) <= topicBytesMax && !router.TooDeep(point+topic)
}

// topicBytesMax is the longest string of MQTT.
const topicBytesMax = 65535

// mountFilter returns a valid filter behind the mount point of the client's listener; in a shared subscription it stands
// behind the group's name.
func mountFilter(c *client, filter string) string {
	point := c.listener.Settings().Config.MountPoint
	if share, shared, _ := router.ParseShare(filter); shared {
		return "$share/" + share.Group + "/" + point + share.Filter
	}
	return point + filter
}
