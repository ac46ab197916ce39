package ledger

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

// fromRedis is an error as a server gives it.
type fromRedis string

func (e fromRedis) Error() string { return string(e) }
func (fromRedis) RedisError()     {}

// What passes is repeated, and what does not is not: a commit that is given up leaves its message in doubt.
func TestWhatAServersErrorMeans(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]error{
		"ERR user_script:9: bad argument script: f1, on @user_script:9.":              ErrRefused,
		"ERR Unknown Redis command called from script script: f1, on @user_script:1.": ErrRefused,
		"ERR max number of clients reached":                                           nil,
		"ERR Error running script (call to f_1): @user_script:9: bad argument":        ErrRefused,
		"WRONGTYPE Operation against a key":                                           ErrRefused,
		"NOPERM this user has no permissions":                                         ErrRefused,
		"OOM command not allowed when used memory > 'maxmemory'.":                     ErrNoMemory,
		// Redis 6.2, within a script.
		"ERR Error running script (call to f_1): @user_script:9: -OOM command not allowed when used memory > 'maxmemory'.": ErrNoMemory,
		"ERR Error running script (call to f_1): @user_script: 9: -READONLY You can't write against a read only replica.":  nil,
		"ERR Error running script (call to f_1): @user_script: 9: -NOREPLICAS Not enough good replicas to write.":          nil,
		"READONLY You can't write against a read only replica.":                                                            nil,
		"LOADING Redis is loading the dataset in memory":                                                                   nil,
	} {
		_, err := asReply(script{name: "commit"}, nil, fromRedis(text))
		require.Error(t, err, text)
		for _, meaning := range []error{ErrRefused, ErrNoMemory} {
			require.Equal(t, errors.Is(want, meaning), errors.Is(err, meaning), "%s: %v", text, meaning)
		}
	}
}
