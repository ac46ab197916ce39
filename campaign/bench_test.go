package campaign

import (
	"fmt"
	"testing"
	"time"
)

// What checking one row costs.
func BenchmarkRow(b *testing.B) {
	f := NewForm(Definition{ID: "c", Sender: "s", Template: template, Params: []string{"{name}", "{code}"}})
	r, err := newCSVReader([]byte("to,name,code"), f.Columns)
	if err != nil {
		b.Fatal(err)
	}
	for i := 0; b.Loop(); i++ {
		said, err := r.read(fmt.Appendf(nil, "%d,Asha %d,ABCDEF", 917000000000+i, i))
		if err == nil {
			_, err = f.row(2, said, "", time.Now())
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}
