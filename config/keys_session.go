package config

import (
	"math"
	"strconv"
	"time"
)

// sessionKeys are about client identifiers and stored sessions.
var sessionKeys = []Key{
	{Name: "allow_zero_length_clientid", Type: Bool, Default: "true", Area: "Sessions", security: true,
		Help: "Admit clients without an identifier and assign them one", set: (*parser).setZeroLength},
	{Name: "auto_id_prefix", Type: Text, Default: "auto-", Area: "Sessions", security: true, Values: "text of up to 50 bytes",
		Help: "What assigned client identifiers begin with", set: (*parser).setAutoIDPrefix},
	{Name: "persistent_client_expiration", Type: List, Area: "Sessions", Values: "a number and one of s, h, d, w, m or y for seconds, hours, days, weeks, months of 30 and years of 365 days, as in 14d; without the line sessions stay",
		Help: "End sessions of clients that were away for so long", set: (*parser).setExpiration},
	{Name: "max_sessions", Type: Number, Default: "0", Area: "Sessions", Ours: true, max: math.MaxInt32,
		Help: "How many sessions are stored, connected or not; a client that would need one more is refused; 0 means no limit", set: numberInto(func(c *Config) *int { return &c.MaxSessions })},
}

// setExpiration reads a duration such as 14d. What is longer than expirationMax counts as that.
func (p *parser) setExpiration(v value) {
	v = p.firstWord(v)
	unit := map[byte]time.Duration{'s': time.Second, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour, 'm': 30 * 24 * time.Hour, 'y': 365 * 24 * time.Hour}[v.text[len(v.text)-1]]
	n, err := strconv.ParseInt(v.text[:len(v.text)-1], 10, 64)
	if unit == 0 || err != nil || n <= 0 {
		p.fail("Invalid 'persistent_client_expiration' duration in configuration.", wanted(v.key))
		return
	}
	if n > int64(expirationMax/unit) {
		p.cfg.PersistentClientExpiration = expirationMax
		return
	}
	p.cfg.PersistentClientExpiration = time.Duration(n) * unit
}
