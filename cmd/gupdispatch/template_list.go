package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/view"
)

func newTemplateCommand(e *env) *cobra.Command {
	return group("template", "Look at templates that are held, hold them back, or release them",
		newTemplateListCommand(e), newTemplateHoldCommand(e), newTemplateReleaseCommand(e))
}

// theTemplate reads a template's id, as messages have it. Gupshup's names of templates and Meta's numbers are no ids here.
func theTemplate(id string) (string, error) {
	if (gupshup.Template{ID: id}).Validate() != nil {
		return "", usagef("%q is not the id of a template: write its UUID at Gupshup, such as c6aecef6-bcb0-4fb1-8100-28c094e3bc6b", id)
	}
	return strings.ToLower(id), nil
}

func newTemplateListCommand(e *env) *cobra.Command {
	var sender string
	var asJSON bool
	c := &cobra.Command{
		Use: "list", Short: "List the templates that are held", Args: exactly(0, ""),
		RunE: func(c *cobra.Command, _ []string) error {
			return e.forSenders(c.Context(), sender, func(a *app, senders []string) error {
				views := []view.Template{}
				for _, s := range senders {
					_, _, templates, err := a.heldOf(c.Context(), s)
					if err != nil {
						return err
					}
					for _, h := range templates {
						views = append(views, view.TemplateOf(s, h))
					}
				}
				if asJSON {
					return e.printJSON(views)
				}
				return e.templateTable(views)
			})
		},
	}
	senderFlag(c, &sender, "only this sender's")
	jsonFlag(c, &asJSON)
	return c
}

func (e *env) templateTable(views []view.Template) error {
	if len(views) == 0 {
		e.note("no template is held")
		return nil
	}
	now := e.now()
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SENDER\tTEMPLATE\tWAITING\tAGE\tNEXT\tWHY")
	for _, v := range views {
		h := v.Hold()
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\n", v.Sender, v.Template, v.Waiting.Total(), age(now, v.Since), h.Next(now), h.Why())
	}
	return printed(w.Flush())
}
