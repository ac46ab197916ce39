package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

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

	node     string // which node of a cluster; "" if there is only one
	strict   bool   // redis.durability is strict
	replicas string // connected_slaves
	needed   string // min-replicas-to-write
}

// askRedis gathers the facts of a Redis, or of all masters of a cluster; with settings also those that only CONFIG tells. It never fails:
// what is not answered stays unknown.
func askRedis(ctx context.Context, rdb redis.UniversalClient, strict, settings bool) []redisFacts {
	cluster, ok := rdb.(*redis.ClusterClient)
	if !ok {
		f := askNode(ctx, rdb, settings)
		f.strict = strict
		return []redisFacts{f}
	}
	var mu sync.Mutex
	var all []redisFacts
	_ = cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
		f := askNode(ctx, node, settings)
		f.strict, f.node = strict, node.Options().Addr
		mu.Lock()
		defer mu.Unlock()
		all = append(all, f)
		return nil
	})
	slices.SortFunc(all, func(a, b redisFacts) int { return strings.Compare(a.node, b.node) })
	return all
}

// askNode gathers the facts of one server.
func askNode(ctx context.Context, rdb redis.Cmdable, settings bool) redisFacts {
	info := map[string]string{}
	for _, section := range []string{"server", "memory", "persistence", "replication"} {
		text, _ := rdb.Info(ctx, section).Result()
		for line := range strings.Lines(text) {
			if k, v, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
				info[k] = v
			}
		}
	}
	f := redisFacts{
		version: info["redis_version"], eviction: info["maxmemory_policy"], appends: map[string]string{"0": "no", "1": "yes"}[info["aof_enabled"]],
		memory: info["maxmemory"], replicas: info["connected_slaves"],
	}
	if !settings {
		return f
	}
	setting := func(name string) string { // one by one: several at once need Redis 7
		found, _ := rdb.ConfigGet(ctx, name).Result()
		return found[name]
	}
	if f.listpack = setting("hash-max-listpack-value"); f.listpack == "" {
		f.listpack = setting("hash-max-ziplist-value") // its name before Redis 7
	}
	f.needed = setting("min-replicas-to-write")
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
	all := []finding{judgeVersion(f.version), judgeEviction(f.eviction), judgeAppends(f.appends), judgeListpack(f.listpack), judgeMemory(f.memory)}
	if f.strict {
		all = append(all, judgeReplicas(f.replicas, f.needed))
	}
	for i := range all {
		if f.node != "" {
			all[i].name = f.node + " " + all[i].name
		}
	}
	return all
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

// judgeReplicas looks at what strict rests on. Without replicas nothing is lost: nothing is accepted or sent, and that is not wrong for ever.
func judgeReplicas(replicas, needed string) finding {
	out := finding{grade: gradeOK, name: "replicas", text: replicas}
	switch {
	case replicas == "":
		out.grade, out.text = gradeUnknown, "are not told: durability strict needs one"
	case replicas == "0":
		out.grade, out.text = gradeWarning, "there are none, and durability is strict: nothing is accepted or sent until there is one"
	case needed == "0":
		out.grade, out.text = gradeWarning, replicas+", but min-replicas-to-write is 0: set it to 1, so that a master without replicas refuses what could not be confirmed"
	}
	return out
}

// checkRedis logs what is wrong with the Redis that a process is about to rely on, and refuses one that loses messages. What does not
// lose any is only a warning: messages may be waiting.
func (a *app) checkRedis(ctx context.Context) error {
	for _, facts := range askRedis(ctx, a.redis.general, a.cfg.Redis.Strict(), true) {
		for _, f := range facts.judge() {
			switch f.grade {
			case gradeError:
				a.log.Error("redis.setting", zap.String("name", f.name), zap.String("problem", f.text))
			case gradeWarning:
				a.log.Warn("redis.setting", zap.String("name", f.name), zap.String("problem", f.text))
			}
		}
	}
	return a.refuseRedis(ctx)
}

// refuseRedis says why this Redis must not be used as it is, also to /readyz: settings may change at any time.
func (a *app) refuseRedis(ctx context.Context) error {
	if a.cfg.Redis.AllowUnsafe {
		return nil
	}
	var wrong []string
	for _, facts := range askRedis(ctx, a.redis.general, a.cfg.Redis.Strict(), false) {
		for _, f := range facts.judge() {
			if f.grade == gradeError {
				wrong = append(wrong, f.name+" "+f.text)
			}
		}
	}
	if len(wrong) > 0 {
		return fmt.Errorf("this Redis must not be used as it is: %s (redis.allow_unsafe: true uses it all the same)", strings.Join(wrong, "; "))
	}
	return nil
}
