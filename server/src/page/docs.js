// Shows openapi.json to readers.
'use strict';
(async () => {
  const paths = document.getElementById('paths');
  const add = (to, name, text) => { const made = document.createElement(name); made.textContent = text; to.append(made); return made; };
  const api = await (await fetch('/openapi.json')).json();
  for (const [path, item] of Object.entries(api.paths)) {
    for (const [method, operation] of Object.entries(item)) {
      if (!operation.responses) continue;
      const section = add(paths, 'section', '');
      add(section, 'h2', `${method.toUpperCase()} ${path}`);
      add(section, 'p', operation.summary || '');
      const list = add(section, 'ul', '');
      for (const [status, answer] of Object.entries(operation.responses)) {
        const known = answer.$ref ? api.components.responses[answer.$ref.split('/').pop()] : answer;
        add(list, 'li', `${status}: ${known.description}`);
      }
      const body = operation.requestBody?.content?.['application/json']?.schema;
      const schema = body?.$ref ? api.components.schemas[body.$ref.split('/').pop()] : body;
      if (schema) add(section, 'pre', JSON.stringify(schema, null, 2));
    }
  }
})();
