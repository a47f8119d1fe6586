package main

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
	"syscall"
)

const (
	defaultUser  = "mosquitto"
	fallbackUser = "nobody"
	nobodyID     = 65534 // where the machine has no user data base at all
)

// dropPrivileges becomes another user, with all threads, if the process is root. Without a name, or when Mosquitto's own
// user does not exist, it becomes nobody. The warning may be empty.
func dropPrivileges(name string) (warning string, err error) {
	if os.Geteuid() != 0 {
		return "", nil
	}
	if name == "root" {
		return "Noctule should not be run as root/administrator.", nil
	}
	if name == "" {
		name = defaultUser
	}
	uid, groups, err := lookUp(name)
	if errors.As(err, new(user.UnknownUserError)) && name == defaultUser {
		warning = fmt.Sprintf("Unable to drop privileges to '%s' because this user does not exist. Trying '%s' instead.", name, fallbackUser)
		name = fallbackUser
		if uid, groups, err = lookUp(name); errors.As(err, new(user.UnknownUserError)) {
			uid, groups, err = nobodyID, []int{nobodyID}, nil
		}
	}
	if errors.As(err, new(user.UnknownUserError)) {
		return "", flagErrorf("Unable to drop privileges to '%s' because this user does not exist.", name)
	}
	if err == nil {
		err = become(uid, groups)
	}
	if err != nil {
		return "", flagErrorf("Unable to drop privileges to '%s': %s.", name, err)
	}
	return warning, nil
}

// rightsHint says, of an error that has to do with the rights of a file, who it is that needs them; empty for other errors.
// The sentences of packages do not keep the system's error, so it is looked for in their text.
func rightsHint(err error) string {
	if !strings.Contains(err.Error(), syscall.EACCES.Error()) {
		return ""
	}
	name := strconv.Itoa(os.Geteuid())
	if u, err := user.LookupId(name); err == nil {
		name = u.Username
	}
	return fmt.Sprintf("The broker runs as the user '%s', who must be able to use this file or directory, and to enter those it is in.", name)
}

// lookUp finds a user's id and groups, the primary one first.
func lookUp(name string) (uid int, groups []int, err error) {
	u, err := user.Lookup(name)
	if err != nil {
		return 0, nil, err
	}
	uid, err = strconv.Atoi(u.Uid)
	if err != nil {
		return 0, nil, err
	}
	ids, err := u.GroupIds()
	if err != nil {
		return 0, nil, fmt.Errorf("find its groups: %w", err)
	}
	for _, id := range append([]string{u.Gid}, ids...) {
		gid, err := strconv.Atoi(id)
		if err != nil {
			return 0, nil, err
		}
		if len(groups) == 0 || gid != groups[0] {
			groups = append(groups, gid)
		}
	}
	return uid, groups, nil
}

// become changes the groups and the user of every thread, the user last because it takes the right to change the rest.
func become(uid int, groups []int) error {
	if err := syscall.Setgroups(groups); err != nil {
		return fmt.Errorf("set its groups: %w", err)
	}
	if err := syscall.Setgid(groups[0]); err != nil {
		return fmt.Errorf("set its group: %w", err)
	}
	if err := syscall.Setuid(uid); err != nil {
		return fmt.Errorf("set the user: %w", err)
	}
	return nil
}
