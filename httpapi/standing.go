package httpapi

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"
)

// standingAge is for how long it counts that Options.Ready holds, or does not: it is not asked for every message.
const standingAge = 5 * time.Second

// taking are the paths by which new messages come in.
var taking = []string{"/v1/messages", "/v1/messages/batch", pathCampaigns}

// standing knows whether what Options.Ready lists holds. While it does not, nothing new is taken in: a Redis that throws messages away
// must not be given any. What is there is worked on all the same.
type standing struct {
	look func(ctx context.Context) []failure
	now  func() time.Time

	mu     sync.Mutex // held while one request looks: the others wait for what it finds, no longer than readyLimit
	looked time.Time
	failed []failure
}

// refuse says why a request must not hand anything over, nil if it may, or does not.
func (s *standing) refuse(r *http.Request) *problem {
	if r.Method != http.MethodPost || !slices.Contains(taking, r.URL.Path) {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.now(); s.looked.IsZero() || now.Sub(s.looked) >= standingAge {
		s.failed, s.looked = s.look(context.WithoutCancel(r.Context())), now
		s.failed = slices.DeleteFunc(s.failed, func(f failure) bool { return f.late }) // a slow Redis answers for itself
	}
	if len(s.failed) == 0 {
		return nil
	}
	return newProblem(http.StatusServiceUnavailable, "nothing new is taken in: "+s.failed[0].Reason).retry(standingAge)
}
