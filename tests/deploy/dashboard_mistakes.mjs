// Deliberate mistakes in the dashboard: `change` makes one, `caught` is what must then be said.
const aPanel = ({ panels }) => panels.find(({ type }) => type === 'timeseries');

export const dashboardMistakes = [
  { what: 'an id twice', change: (d) => { d.panels[2].id = d.panels[1].id; }, caught: /its id is not its own/ },
  { what: 'panels that overlap', change: (d) => { d.panels[2].gridPos.x -= 1; }, caught: /overlap/ },
  { what: 'a panel beside the grid', change: (d) => { aPanel(d).gridPos.x = 20; }, caught: /not on the grid/ },
  { what: 'no unit', change: (d) => { delete aPanel(d).fieldConfig.defaults.unit; }, caught: /no known unit/ },
  { what: 'a misspelt unit', change: (d) => { aPanel(d).fieldConfig.defaults.unit = 'seconds'; }, caught: /no known unit/ },
  { what: 'no description', change: (d) => { aPanel(d).description = ''; }, caught: /no description/ },
  { what: 'a datasource of somebody\'s', change: (d) => { aPanel(d).datasource = { type: 'prometheus', uid: 'P1809F7CD0C75ACF3' }; }, caught: /datasource of its own/ },
  { what: 'a query\'s datasource', change: (d) => { aPanel(d).targets[0].datasource = undefined; }, caught: /datasource of its own/ },
  { what: 'a variable that is not there', change: (d) => { aPanel(d).targets[0].expr = aPanel(d).targets[0].expr.replace('$namespace', '$cluster'); }, caught: /\$cluster, which is no variable/ },
  { what: 'another namespace\'s numbers', change: (d) => { aPanel(d).targets[0].expr = 'up'; }, caught: /no notice of the namespace/ },
  { what: 'a rate over a fixed time', change: (d) => { aPanel(d).targets[0].expr = 'sum(rate(x{namespace=~"$namespace"}[1m]))'; }, caught: /rate over a fixed time/ },
  { what: 'a panel without a query', change: (d) => { aPanel(d).targets = []; }, caught: /no query/ },
  { what: 'a row that is lost', change: (d) => { d.panels.splice(0, 1); }, caught: /rows are missing/ },
  { what: 'all namespaces as a list', change: (d) => { d.templating.list[1].allValue = undefined; }, caught: /variable namespace/ },
  { what: 'a title twice', change: (d) => { d.panels[2].title = d.panels[1].title; }, caught: /two panels are called/ },
];
