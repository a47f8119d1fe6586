package bench

import "fmt"

const (
	// filtersPerPacket is how many filters one SUBSCRIBE of the background carries.
	filtersPerPacket = 500
	// filtersPerClient keeps the background below the bounds that brokers set for one session.
	filtersPerClient = 10_000
)

// fillIndex subscribes clients of their own to the scenario's background filters, which no measured topic matches: they
// make the broker's index large. What such a client gets would be counted as corrupt.
func (e *engine) fillIndex(port int) error {
	var request []byte
	var c *client
	filters := make([]string, 0, filtersPerPacket)
	for i := 0; i < e.s.filters; i += len(filters) {
		if i%filtersPerClient == 0 {
			var err error
			if c, err = dialClient(port, fmt.Sprintf("load-background-%04d", i/filtersPerClient), "", 0); err != nil {
				return err
			}
			e.clients = append(e.clients, c)
		}
		filters = filters[:0]
		for k := i; k < min(i+filtersPerPacket, e.s.filters); k++ {
			filters = append(filters, backgroundFilter(k))
		}
		request = appendSubscribeAll(request[:0], filters, 0)
		if err := c.exchange(request, packetSuback, 2); err != nil {
			return fmt.Errorf("subscribe to background filters %d to %d: %w", i, i+len(filters)-1, err)
		}
	}
	return nil
}

// backgroundFilter is filter i of the background: five shapes in turn, one of which shares the wildcard of its first
// level with every topic there is.
func backgroundFilter(i int) string {
	site, line := i/1000, i%1000
	switch i % 5 {
	case 0:
		return fmt.Sprintf("bg/site%d/+/line%d/#", site, line)
	case 1:
		return fmt.Sprintf("bg/site%d/line%d/+", site, line)
	case 2:
		return fmt.Sprintf("bg/+/site%d/line%d/state", site, line)
	case 3:
		return fmt.Sprintf("bg/site%d/line%d/#", site, line)
	}
	return fmt.Sprintf("+/site%d/line%d/+/value", site, line)
}
