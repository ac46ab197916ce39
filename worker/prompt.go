package worker

import (
	"sync"
	"time"
)

// What may pass between the moment of a slot and its request: some milliseconds and a few usual claims, but no more than slotLifeMost, unless two
// usual claims take longer.
const (
	slotLifeLeast = 10 * time.Millisecond
	slotLifeMost  = 100 * time.Millisecond
	usualClaims   = 4
)

// prompt knows how long a claim usually takes here, and so which one came too late for its slot. When Redis or this process stands
// still, all that wait for their claims would send at once afterwards, and the sender's busiest second would be above its rate. A limit
// for every network would be too long where Redis is near, and too short where it is far. The zero value is ready, and lenient at first.
type prompt struct {
	mu    sync.Mutex
	usual time.Duration // about the median: a fiftieth up for each that took longer, down for each that did not
}

// late notes how long a claim took, and says whether its slot has passed.
func (p *prompt) late(took time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.usual == 0 {
		p.usual = slotLifeMost / usualClaims
	}
	life := max(min(slotLifeMost, slotLifeLeast+usualClaims*p.usual), 2*p.usual)
	if took > p.usual {
		p.usual = min(p.usual+p.usual/50, time.Second)
	} else {
		p.usual = max(p.usual-p.usual/50, 100*time.Microsecond)
	}
	return took > life
}
