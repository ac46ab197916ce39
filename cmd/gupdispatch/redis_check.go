package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"
)

// redisFacts is what we want to know of a Redis. "" is unknown: the embedded one cannot tell, and some hosted ones refuse CONFIG.
type redisFacts struct {
	version  string // redis_version
	eviction string // maxmemory-policy
	appends  string // appendonly: yes or no
	listpack string // hash-max-listpack-value, bytes
	memory   string // maxmemory, bytes; 0 is no limit
}

// askRedis gathers the facts. It never fails: what is not answered stays unknown.
func askRedis(ctx context.Context, rdb redis.UniversalClient) redisFacts {
	info := map[string]string{}
	for _, section := range []string{"server", "memory", "persistence"} {
		text, _ := rdb.Info(ctx, section).Result()
		for line := range strings.Lines(text) {
			if k, v, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
				info[k] = v
			}
		}
	}
	setting := func(name string) string { // one by one: several at once need Redis 7
		found, _ := rdb.ConfigGet(ctx, name).Result()
		return found[name]
	}
	f := redisFacts{
		version: info["redis_version"], eviction: setting("maxmemory-policy"), appends: setting("appendonly"),
		listpack: setting("hash-max-listpack-value"), memory: setting("maxmemory"),
	}
	if f.memory == "" {
		f.memory = info["maxmemory"]
	}
	if f.eviction == "" {
		f.eviction = info["maxmemory_policy"]
	}
	if f.appends == "" {
		f.appends = map[string]string{"0": "no", "1": "yes"}[info["aof_enabled"]]
	}
	if f.listpack == "" {
		f.listpack = setting("hash-max-ziplist-value") // its name before Redis 7
	}
	return f
}

// finding is one line about a Redis.
type finding struct {
	grade string // one of the grades
	name  string
	text  string
}

// The grades of a finding.
const (
	gradeOK      = "ok"
	gradeUnknown = "unknown"
	gradeWarning = "warning"
	gradeError   = "error"
)

func (f finding) String() string { return fmt.Sprintf("%-8s %s %s", f.grade, f.name, f.text) }

// judge says of each fact whether it will do. It is pure.
func (f redisFacts) judge() []finding {
	return []finding{judgeVersion(f.version), judgeEviction(f.eviction), judgeAppends(f.appends), judgeListpack(f.listpack), judgeMemory(f.memory)}
}

func judgeVersion(version string) finding {
	out := finding{grade: gradeOK, name: "redis_version", text: version}
	var major, minor int
	switch n, _ := fmt.Sscanf(version, "%d.%d", &major, &minor); {
	case n < 2:
		out.grade, out.text = gradeUnknown, "is not told: 6.2 or later is needed, 7 recommended"
	case major < 6 || major == 6 && minor < 2:
		out.grade, out.text = gradeError, version+" is too old: 6.2 or later is needed, 7 recommended"
	case major < 7:
		out.grade, out.text = gradeWarning, version+" works; 7 or later is recommended"
	}
	return out
}

func judgeEviction(policy string) finding {
	out := finding{grade: gradeOK, name: "maxmemory-policy", text: policy}
	switch policy {
	case "":
		out.grade, out.text = gradeUnknown, "is not told: it must be noeviction, or Redis throws messages away when memory is short"
	case "noeviction":
	default:
		out.grade, out.text = gradeError, policy+" throws messages away when memory is short: set maxmemory-policy noeviction"
	}
	return out
}

func judgeAppends(appends string) finding {
	out := finding{grade: gradeOK, name: "appendonly", text: appends}
	switch appends {
	case "":
		out.grade, out.text = gradeUnknown, "is not told: it should be yes, or a restart of Redis loses messages"
	case "yes":
	default:
		out.grade, out.text = gradeWarning, appends+": a restart of Redis loses messages; set appendonly yes"
	}
	return out
}

// listpackBytes holds a record with its content: 517 bytes of memory instead of 1,197 (measured).
const listpackBytes = 1024

func judgeListpack(value string) finding {
	out := finding{grade: gradeOK, name: "hash-max-listpack-value", text: value}
	n, err := strconv.Atoi(value)
	switch {
	case err != nil:
		out.grade, out.text = gradeUnknown, "is not told: it should be 1024 or more, or messages take more than twice the memory"
	case n < listpackBytes:
		out.grade, out.text = gradeWarning, value+": messages take more than twice the memory; set hash-max-listpack-value 1024"
	}
	return out
}

func judgeMemory(limit string) finding {
	out := finding{grade: gradeOK, name: "maxmemory", text: limit}
	switch limit {
	case "":
		out.grade, out.text = gradeUnknown, "is not told: without it nobody notices that Redis fills up"
	case "0":
		out.grade, out.text = gradeWarning, "is not set: nothing is refused while Redis fills up, until the machine has no memory left; set maxmemory"
	}
	return out
}

// warnOfRedis logs what is wrong with the Redis that a process is about to rely on. It starts all the same: messages may be waiting.
func (a *app) warnOfRedis(ctx context.Context) {
	for _, f := range askRedis(ctx, a.redis.general).judge() {
		switch f.grade {
		case gradeError:
			a.log.Error("redis.setting", zap.String("name", f.name), zap.String("problem", f.text))
		case gradeWarning:
			a.log.Warn("redis.setting", zap.String("name", f.name), zap.String("problem", f.text))
		}
	}
}
