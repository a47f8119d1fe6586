package config

import "time"

// machineKeys are about the process and the machine it runs on.
var machineKeys = []Key{
	{Name: "loops", Type: Number, Default: "0", Area: "Process", Ours: true, Restart: true, max: LoopsMax,
		Help: "How many event loops run, each on a thread of its own; 0 means one for each CPU the process may use", set: numberInto(func(c *Config) *int { return &c.Loops })},
	{Name: "pin_loops", Type: Bool, Default: "true", Area: "Process", Ours: true, Restart: true,
		Help: "Tie each loop's thread to a CPU", set: boolInto(func(c *Config) *bool { return &c.PinLoops })},
	{Name: "set_tcp_nodelay", Type: Bool, Default: "false", Area: "Process", Restart: true,
		Help: "Set TCP_NODELAY on client sockets: less delay, perhaps more packets", set: boolInto(func(c *Config) *bool { return &c.SetTCPNoDelay })},
	{Name: "shutdown_timeout", Type: Number, Default: "5", Area: "Process", Ours: true, max: timeoutMaxSeconds,
		Help: "Seconds that a graceful stop may take to send what is waiting",
		set:  func(p *parser, v value) { p.cfg.ShutdownTimeout = time.Duration(v.number) * time.Second }},
	{Name: "reload_failure", Type: Word, Default: "keep", Area: "Process", Ours: true, choices: []string{"keep", "exit"},
		Help: "What happens when a signal to reload finds a mistake in a file: what is in force stays, or the broker ends as Mosquitto 2.1 does", set: func(p *parser, v value) { p.cfg.ReloadFailureExit = v.text == "exit" }},
	{Name: "include_dir", Type: Text, Area: "Process", Values: "a directory", repeat: true, fileOnly: true, adds: true,
		Help: "Read every file of a directory that ends in .conf, in the order of their names; works in the main file only", set: (*parser).include},
	{Name: "user", Type: Text, Area: "Process", Restart: true, Values: "a user name; without the line mosquitto, or nobody where that does not exist",
		Help: "Become this user when started by root", set: textInto(func(c *Config) *string { return &c.User })},
	{Name: "pid_file", Type: Text, Area: "Process", Restart: true,
		Help: "Write the process identifier to this file while the broker runs", set: textInto(func(c *Config) *string { return &c.PIDFile })},
}
