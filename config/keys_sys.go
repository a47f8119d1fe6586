package config

// sysKeys are about what the broker says of itself.
var sysKeys = []Key{
	{Name: "sys_interval", Type: Number, Default: "10", Area: "Status", max: 65535,
		Help: "Seconds between updates of the $SYS topics; 0 means none are published", set: numberInto(func(c *Config) *int { return &c.SysInterval })},
	{Name: "enable_control_api", Type: Bool, Default: "false", Area: "Status", Restart: true,
		Help: "Answer requests on $CONTROL/broker/v1", set: boolInto(func(c *Config) *bool { return &c.EnableControlAPI })},
}
