//go:build linux

package chaos

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What the scripts call, the shipped ACL user may call: also what no test happens to come by.
func TestRedisACLCoversTheScripts(t *testing.T) {
	t.Parallel()
	acl, err := os.ReadFile("../../deploy/users.acl")
	require.NoError(t, err)
	allowed := strings.Fields(string(acl))
	calls, found := regexp.MustCompile(`redis\.p?call\('([A-Z]+)'`), 0
	for _, dir := range []string{"ledger", "flow"} {
		files, err := filepath.Glob("../../" + dir + "/lua/*.lua")
		require.NoError(t, err)
		for _, file := range files {
			source, err := os.ReadFile(file)
			require.NoError(t, err)
			for _, call := range calls.FindAllStringSubmatch(string(source), -1) {
				found++
				require.True(t, slices.Contains(allowed, "+"+strings.ToLower(call[1])), "%s calls %s, which deploy/users.acl does not allow", file, call[1])
			}
		}
	}
	require.Greater(t, found, 100)
}
