// The tenant's rules: their text with what is wrong in it, what they make of one real user, what a change would take
// away, and the writing of them.

import { get, job, may, post, put } from './api.js';
import { announce, h, id, number, replace, say } from './dom.js';
import { picker, table } from './list.js';
import { badge, busy, button, card, empty, facts, guarded, json, loaded, mayNotice, notice, trouble } from './ui.js';
import { people, person } from './explain.js';
import { brakeSays, lines, progress } from './plan.js';
import { careful } from './removal.js';

// A text with line numbers; `changed` hears each change a moment after it.
function editor(text, changed) {
  const label = id('policy');
  const gutter = h('pre', { 'aria-hidden': 'true' });
  const area = h('textarea', {
    id: label,
    spellcheck: 'false',
    autocapitalize: 'off',
    autocomplete: 'off',
    wrap: 'off',
    'aria-describedby': 'problems',
  });
  area.value = text;
  let marked = new Set();
  const number_ = () => {
    const count = area.value.split('\n').length;
    replace(
      gutter,
      Array.from({ length: count }, (_, index) => [marked.has(index + 1) ? h('b', {}, index + 1) : index + 1, '\n']),
    );
    gutter.scrollTop = area.scrollTop;
  };
  let timer;
  area.addEventListener('input', () => {
    number_();
    clearTimeout(timer);
    timer = setTimeout(changed, 300);
  });
  area.addEventListener('scroll', () => {
    gutter.scrollTop = area.scrollTop;
  });
  number_();
  return {
    node: h(
      'div',
      {},
      h('label', { for: label, class: 'sr' }, 'The policy'),
      h('div', { class: 'editor' }, gutter, area),
    ),
    text: () => area.value,
    put: (fresh) => {
      area.value = fresh;
      number_();
    },
    mark: (problems) => {
      marked = new Set(problems.map((problem) => problem.line));
      number_();
    },
    go: (line) => {
      const before =
        area.value
          .split('\n')
          .slice(0, line - 1)
          .join('\n').length + (line > 1 ? 1 : 0);
      area.focus();
      area.setSelectionRange(
        before,
        area.value.indexOf('\n', before) < 0 ? area.value.length : area.value.indexOf('\n', before),
      );
      area.scrollTop = (line - 4) * 20;
    },
  };
}

// The line of a key such as brake.accounts in the text, where the daemon names none.
function lineOf(text, problem) {
  if (problem.line) return problem.line;
  const word = problem.key
    .split(/[.[]/)
    .filter((part) => part && !/^\d/.test(part))
    .at(-1);
  const at = word ? text.split('\n').findIndex((line) => line.includes(`"${word}"`) || line.trim().startsWith(`${word} =`)) : -1;
  return at < 0 ? null : at + 1;
}

function previewed(found) {
  const { account } = found;
  return h(
    'div',
    { class: 'stack tight' },
    found.refused && notice('bad', found.refused),
    found.unasked && notice('warn', found.unasked),
    facts(
      ['Login name', account.username],
      ['E-mail', account.email],
      ['Name', account.display_name],
      ['May log in', account.active ? 'yes' : 'no'],
      ...Object.entries(account.fields).map(([name, value]) => [
        name,
        typeof value === 'string' ? value : JSON.stringify(value),
      ]),
      ['Groups in Jira', found.groups.length ? found.groups.join(', ') : 'none'],
      ['Of the provider', found.scim_groups.length ? found.scim_groups.join(', ') : 'none'],
    ),
    found.lines.length > 0
      ? table(lines, found.lines, 'What would be written')
      : h('p', { class: 'muted' }, 'Nothing would be written for this person.'),
  );
}

export default function policy({ base, query, set, refresh }) {
  return loaded(
    () => get(`${base}/policy`),
    (now) => h('div', { class: 'stack' }, draw(now, { base, query, set, refresh })),
    { steady: true },
  );
}

function draw(now, { base, query, set, refresh }) {
  let version = now.version;
  let user = query.user ?? '';
  let good = true;
  let turn = 0;
  const problems = h('div', { id: 'problems', 'aria-live': 'polite' });
  const state = h('span', {}, badge('good', 'Valid'));
  const preview = h('div', {});
  let format = 'json';
  const body = () => ({ text: text.text(), format });
  const json_ = (value) => JSON.stringify(value, null, 2);
  // The same rules in the other form: what is wrong has to be put right first.
  const forms = h(
    'select',
    {
      'aria-label': 'Form',
      onchange: async () => {
        const wanted = forms.value;
        try {
          const found = await post(`${base}/policy/validate`, body());
          const fresh = found.valid && (wanted === 'toml' ? found.toml : json_(found.policy));
          if (typeof fresh !== 'string') throw new Error();
          format = wanted;
          text.put(fresh);
          told(found.problems);
        } catch {
          forms.value = format;
          say('It stays in this form as long as something is wrong in it.');
        }
      },
    },
    h('option', { value: 'json' }, 'JSON'),
    h('option', { value: 'toml' }, 'TOML'),
  );
  const look = async () => {
    if (!user || !good || !may('operator')) return;
    try {
      replace(preview, previewed(await post(`${base}/policy/preview?user=${encodeURIComponent(user)}`, body())));
    } catch (error) {
      replace(preview, trouble(error));
    }
  };
  const told = (list) => {
    good = list.length === 0;
    replace(state, badge(good ? 'good' : 'bad', good ? 'Valid' : `${list.length} wrong`));
    const found = list.map((problem) => ({ ...problem, line: lineOf(text.text(), problem) }));
    text.mark(found);
    replace(
      problems,
      good
        ? null
        : h(
            'ul',
            { class: 'says' },
            found.map((problem) =>
              h(
                'li',
                { class: 'notice bad' },
                problem.line &&
                  h(
                    'button',
                    { type: 'button', class: 'plain slim', onclick: () => text.go(problem.line) },
                    `Line ${problem.line}`,
                  ),
                problem.key && h('code', {}, problem.key),
                ' ',
                problem.message,
              ),
            ),
          ),
    );
  };
  const check = async () => {
    const mine = (turn += 1);
    try {
      const { problems: list } = await post(`${base}/policy/validate`, body());
      if (mine !== turn) return;
      told(list);
      look();
    } catch (error) {
      if (mine === turn) replace(problems, trouble(error));
    }
  };
  const text = editor(json_(now.policy), check);
  const result = h('div', { 'aria-live': 'polite' });
  const plan = guarded(
    button('What would it take away?', () =>
      busy(plan, async () => {
        try {
          const taken = await job(post(`${base}/policy/plan`, body()), progress(result, 'Reckoning'));
          replace(
            result,
            h(
              'div',
              { class: 'stack tight' },
              notice(taken.too_much ? 'bad' : 'good', taken.sentence || 'Nothing is taken away.'),
              brakeSays(taken.brake),
              taken.unread > 0 && notice('warn', `${number(taken.unread)} users could not be read.`),
            ),
          );
        } catch (error) {
          replace(result, trouble(error));
        }
      }),
    ),
    'operator',
  );
  const save = guarded(
    button(
      'Save',
      () =>
        busy(save, async () => {
          try {
            await careful(
              (yes) => put(`${base}/policy`, { ...body(), version, yes }),
              (saved) => {
                version = saved.version;
                replace(result, notice('good', `Saved as version ${version}. What it changes in Jira is on its way.`));
                say('The policy is saved.');
                refresh();
              },
            );
          } catch (error) {
            if (error.body?.problems) told(error.body.problems);
            replace(result, trouble(error));
          }
        }),
      'primary',
    ),
    'admin',
  );
  const choose = picker('A real user', {
    name: 'preview',
    value: user,
    find: people(base),
    show: person,
    hint: 'What these rules make of this person, as you type.',
    chosen: (row) => {
      user = row.user_name;
      set({ user });
      look();
    },
  });
  if (user) look();
  else replace(preview, empty('Nobody is chosen', 'Choose a user to see account, groups and what would be written.'));
  announce('');
  return [
    now.declared
      ? notice('', 'The configuration file declares this tenant: its policy is changed there. It can be tried here.')
      : mayNotice('admin', 'saving a policy'),
    h(
      'section',
      { class: 'card' },
      h(
        'div',
        { class: 'head' },
        h('h2', {}, 'Rules'),
        state,
        h('div', { class: 'row' }, forms, plan, !now.declared && save),
      ),
      h('div', { class: 'stack tight' }, text.node, problems, result),
    ),
    card(
      'Preview',
      may('operator')
        ? h('div', { class: 'stack tight' }, choose, preview)
        : mayNotice('operator', 'a preview asks Jira, and'),
    ),
    h('details', { class: 'card' }, h('summary', {}, 'All rules that hold, defaults included'), json(now.effective)),
  ];
}
