package config

// sysKeys are about what the broker says of itself.
var sysKeys = []Key{
	{Name: "sys_interval", Type: Number, Default: "10", Area: "Status", Class: NoEffect, max: 65535,
		Help: "Seconds between updates of the $SYS topics; 0 means none are published", Why: "it does not publish $SYS topics yet", set: numberInto(func(c *Config) *int { return &c.SysInterval })},
	{Name: "enable_control_api", Type: Bool, Default: "false", Area: "Status", Class: NoEffect,
		Help: "Answer requests on $CONTROL/broker/v1", Why: "there is no control interface yet"},
}
