// Small charts, drawn as SVG, each with the same numbers as text and as a table.

import { h, number, s } from './dom.js';

const HEIGHT = 132;
const LEFT = 34;
const FOOT = 18;
const hour = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });

// A round number not below `most`, to end the scale with.
function top(most) {
  const power = 10 ** Math.floor(Math.log10(Math.max(most, 1)));
  return [1, 2, 4, 5, 10].map((step) => step * power).find((step) => step >= most) ?? 10 * power;
}

const short = (value) => (value >= 1e6 ? `${value / 1e6}M` : value >= 1e4 ? `${value / 1e3}k` : number(value));

// Bars over time. `points` are {at, count, failed}; failures are the upper part of a bar.
export function chart(title, points, { failed = 'failed', ok = 'went well' } = {}) {
  const sum = points.reduce((total, point) => total + point.count, 0);
  const bad = points.reduce((total, point) => total + (point.failed ?? 0), 0);
  const most = Math.max(...points.map((point) => point.count), 0);
  const summary =
    sum === 0
      ? `${title}: none in this time.`
      : `${title}: ${number(sum)} in this time, of which ${number(bad)} ${failed}; at most ${number(most)} at once.`;
  // Drawn at about the size at which it is seen, so that its words keep theirs.
  const WIDTH = matchMedia('(max-width: 680px)').matches ? 310 : 500;
  const scale = top(most);
  const room = (WIDTH - LEFT) / Math.max(points.length, 1);
  const high = HEIGHT - FOOT - 8;
  const y = (value) => 8 + high - (value / scale) * high;
  const bars = points.map((point, index) => {
    const x = LEFT + index * room + room * 0.14;
    const width = Math.max(room * 0.72, 1);
    const good = point.count - (point.failed ?? 0);
    return s(
      'g',
      {},
      s(
        'title',
        {},
        `${hour.format(new Date(point.at))}: ${number(point.count)}, ${number(point.failed ?? 0)} ${failed}`,
      ),
      good > 0 && s('rect', { class: 'ok', x, width, y: y(good), height: Math.max(8 + high - y(good), 1), rx: 1.5 }),
      point.failed > 0 &&
        s('rect', {
          class: 'failed',
          x,
          width,
          y: y(point.count),
          height: Math.max(y(good) - y(point.count), 2),
          rx: 1.5,
        }),
    );
  });
  const marks = [0, Math.floor(points.length / 2), points.length - 1].filter(
    (index, place, all) => points[index] && all.indexOf(index) === place,
  );
  const svg = s(
    'svg',
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': summary },
    [0, 0.5, 1].map((part) => [
      s('line', { class: 'grid', x1: LEFT, x2: WIDTH, y1: y(scale * part), y2: y(scale * part) }),
      (part !== 0.5 || scale > 1) &&
        s('text', { x: LEFT - 6, y: y(scale * part) + 4, 'text-anchor': 'end' }, short(scale * part)),
    ]),
    bars,
    marks.map((index, place) =>
      s(
        'text',
        { x: LEFT + (index + 0.5) * room, y: HEIGHT - 3, 'text-anchor': ['start', 'middle', 'end'][place] },
        hour.format(new Date(points[index].at)),
      ),
    ),
  );
  return h(
    'figure',
    { class: 'chart' },
    svg,
    h(
      'figcaption',
      { class: 'legend' },
      h('span', {}, h('i', {}), ok),
      h('span', {}, h('i', { class: 'failed' }), failed),
      h('span', {}, `${number(sum)} in all, ${number(bad)} ${failed}`),
    ),
    h(
      'details',
      {},
      h('summary', {}, 'As a table'),
      h(
        'div',
        { tabindex: '0', role: 'region', 'aria-label': `${title}, as a table` },
        h(
          'table',
          {},
          h(
            'thead',
            {},
            h(
              'tr',
              {},
              h('th', { scope: 'col' }, 'From'),
              h('th', { scope: 'col', class: 'num' }, 'All'),
              h('th', { scope: 'col', class: 'num' }, failed),
            ),
          ),
          h(
            'tbody',
            {},
            points.map((point) =>
              h(
                'tr',
                {},
                h('td', {}, hour.format(new Date(point.at))),
                h('td', { class: 'num' }, number(point.count)),
                h('td', { class: 'num' }, number(point.failed ?? 0)),
              ),
            ),
          ),
        ),
      ),
    ),
  );
}

// The points of a series of the API, all names (or one) together, two steps to a bar.
export function points(series, kind, name = null) {
  const lists = series[kind].filter((list) => name === null || list.name === name);
  const steps = Math.max(0, ...lists.map((list) => list.total.length));
  const from = new Date(series.from).getTime();
  const found = [];
  for (let step = 0; step < steps; step += 2) {
    const sum = (key) => lists.reduce((total, list) => total + (list[key][step] ?? 0) + (list[key][step + 1] ?? 0), 0);
    found.push({ at: from + step * series.step_seconds * 1000, count: sum('total'), failed: sum('failed') });
  }
  return found;
}
