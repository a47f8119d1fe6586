// Package config turns a file in mosquitto.conf syntax into one typed Config that nothing changes afterwards.
//
// It owns the table of every configuration key (keys.go and its neighbours): Mosquitto's of 2.0 and 2.1, and the few
// of our own. A key is honoured, accepted without effect (said in Config.Notes), or refused at start (Config.Unsupported)
// where a broker that ignored it would be a different broker from the one the file asks for. The manual page
// noctule.conf(5), the annotated example and the table of docs/mosquitto-parity.md are written from the same table by
// config/gen. What was written where is kept, so that Explain can tell and Diff can compare.
//
// It refuses to know what the values do: no sockets, no topics, no log. Errors are Mosquitto's sentences followed by
// file, line and a suggestion, and all errors of a file are reported together.
//
// Read config.go first, then parse.go for the syntax and keys.go for the table.
package config
